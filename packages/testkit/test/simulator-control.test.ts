import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { SimulatorControl } from '../src/index.ts';

// What the control API answers is played here; the simulator's own tests play it for real.

let server: Server;
afterEach(async () => {
  server.close();
  await once(server, 'close');
});

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<SimulatorControl> {
  server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return new SimulatorControl(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

test('the ledger is read with its counts and what stands beside them', async () => {
  const ledger = { received: 5, unique: 4, duplicates: 1, rejected: 2, apps: { 'com.example.shop': 5 } };
  const control = await serve((request, response) =>
    response.end(JSON.stringify({ ...ledger, url: request.url })),
  );
  expect(await control.ledger()).toEqual({ ...ledger, url: '/ledger' });
});

test('a ledger without its counts is refused by name', async () => {
  const control = await serve((_, response) => response.end('{"received":1,"unique":1,"duplicates":0}'));
  await expect(control.ledger()).rejects.toThrow('The ledger has no count rejected');
});

test('notifications are read line by line as they come, over any split', async () => {
  const control = await serve(async (_, response) => {
    for (const part of ['{"token":"a', 'a"}\n{"to', 'ken":"bb"}\n', '\n{"token":"cc"}']) {
      response.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  });
  const tokens = [];
  for await (const notification of control.notifications()) tokens.push(notification.token);
  expect(tokens).toEqual(['aa', 'bb', 'cc']);
});

test('faults and feedback are posted as JSON', async () => {
  const seen: unknown[] = [];
  const control = await serve(async (request, response) => {
    seen.push([
      request.method,
      request.url,
      request.headers['content-type'],
      JSON.parse(await text(request)),
    ]);
    response.end(request.url === '/reset' ? '' : '{"ok":true}');
  });
  expect(await control.faults({ rejectEvery: 10 })).toEqual({ ok: true });
  await control.feedback([{ token: 'aa', time: 1_700_000_000 }]);
  await control.reset();
  expect(seen).toEqual([
    ['POST', '/faults', 'application/json', { rejectEvery: 10 }],
    ['POST', '/feedback', 'application/json', [{ token: 'aa', time: 1_700_000_000 }]],
    ['POST', '/reset', 'application/json', {}],
  ]);
});

test('certificates, provider keys and recording are posted too; connections are read', async () => {
  const seen: unknown[] = [];
  const control = await serve(async (request, response) => {
    const body = await text(request);
    seen.push([request.method, request.url, body === '' ? undefined : JSON.parse(body)]);
    response.end('{"open":1}');
  });
  await control.issueCertificate('other', 'com.example.other', ['production']);
  await control.addProviderKey('key', { keyId: 'KEY1234567', teamId: 'TEAM123456' });
  await control.record(0);
  expect(await control.connections()).toEqual({ open: 1 });
  expect(seen).toEqual([
    [
      ...['POST', '/certificates'],
      { name: 'other', topic: 'com.example.other', environments: ['production'] },
    ],
    ['POST', '/provider-keys', { name: 'key', keyId: 'KEY1234567', teamId: 'TEAM123456' }],
    ['POST', '/ledger/recording', { limit: 0 }],
    ['GET', '/connections', undefined],
  ]);
});

test('a refusal carries the status and what the simulator said', async () => {
  const control = await serve((_, response) => response.writeHead(400).end('rejectEvery must be a number'));
  await expect(control.faults({ rejectEvery: 'x' })).rejects.toMatchObject({
    status: 400,
    message: 'POST /faults: 400 rejectEvery must be a number',
  });
});
