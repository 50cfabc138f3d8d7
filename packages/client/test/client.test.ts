import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type ClientOptions, createClient, PushfleetError } from '../src/index.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Reply = (response: ServerResponse, seen: Seen) => void;

/** An API that answers as told, one reply after the other; the last one goes on. */
async function openApi(replies: readonly Reply[], options: Partial<ClientOptions> = {}) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      seen.push({ method, url, headers, body });
      replies[Math.min(seen.length, replies.length) - 1]!(response, seen.at(-1)!);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`;
  return { seen, client: createClient({ baseUrl, ...options }) };
}

const json =
  (status: number, value: unknown, headers: Record<string, string> = {}): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
const cut: Reply = (response) => void response.socket!.destroy();
const problem = (status: number, code: string, more: object = {}, headers = {}): Reply =>
  json(status, { code, detail: 'because', requestId: 'r-1', ...more }, headers);

const request = { app: 'shop', token: 'ab'.repeat(32), alert: 'x' };
const answer = { batchId: 'b', notificationIds: ['b'] };

test('a send goes out as the API wants it, with the key and an idempotency key', async () => {
  const { client, seen } = await openApi([json(202, answer)], { key: 'pf_secret' });
  expect(await client.send(request)).toEqual(answer);
  expect(await client.send(request, { idempotencyKey: 'order-7' })).toEqual(answer);
  const [first, second] = seen as [Seen, Seen];
  expect(first).toMatchObject({
    method: 'POST',
    url: '/base/v1/notifications',
    headers: { authorization: 'Bearer pf_secret', 'content-type': 'application/json' },
  });
  expect(JSON.parse(first.body)).toEqual(request);
  expect(first.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  expect(second.headers['idempotency-key']).toBe('order-7');
});

test('a send is repeated under the same key when the network fails, the API is busy or the key asks too often', async () => {
  const busy = problem(503, 'redis-unavailable', {}, { 'retry-after': '0' });
  const limited = problem(429, 'rate-limited', {}, { 'retry-after': '0' });
  const { client, seen } = await openApi([cut, busy, limited, json(202, answer)]);
  expect(await client.send(request)).toEqual(answer);
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
});

test('an answer that is cut off is asked for again, under the same key', async () => {
  const half: Reply = (response) => {
    response.writeHead(202, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('{"batchId":', () => response.socket!.destroy());
  };
  const { client, seen } = await openApi([half, json(202, answer)]);
  expect(await client.send(request)).toEqual(answer);
  expect(new Set(seen.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  const { client: giving } = await openApi([half], { retries: 0 });
  await expect(giving.send(request)).rejects.toMatchObject({ code: 'unreachable', maybeStored: true });
});

test('what is at fault is not repeated, and told with its fields', async () => {
  const errors = [{ field: 'token', message: 'is missing' }];
  const { client, seen } = await openApi([problem(400, 'invalid-notification', { errors })]);
  const error = await client.send(request).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PushfleetError);
  expect(error).toMatchObject({
    code: 'invalid-notification',
    status: 400,
    errors,
    requestId: 'r-1',
    message: 'because',
  });
  expect(seen).toHaveLength(1);
});

test('it gives up after its retries, and what may have been stored is said', async () => {
  const { client, seen } = await openApi(
    [problem(503, 'redis-timeout', { maybeStored: true }, { 'retry-after': '0' })],
    {
      retries: 2,
    },
  );
  await expect(client.send(request)).rejects.toMatchObject({
    code: 'redis-timeout',
    maybeStored: true,
    retryAfterSeconds: 0,
  });
  expect(seen).toHaveLength(3);
});

test('an import is not repeated: its body has gone', async () => {
  const { client, seen } = await openApi([cut]);
  await expect(client.importDevices('shop', 'csv', 'token\n')).rejects.toMatchObject({ code: 'unreachable' });
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject({
    url: '/base/v1/devices/import?app=shop',
    headers: { 'content-type': 'text/csv' },
  });
});

test('an import that was refused before it was read is repeated, unless its body has gone', async () => {
  const limited = problem(429, 'rate-limited', {}, { 'retry-after': '0' });
  const whole = await openApi([limited, json(200, { imported: 1 })]);
  expect(await whole.client.importDevices('shop', 'csv', 'token\n')).toEqual({ imported: 1 });
  expect(whole.seen.map(({ body }) => body)).toEqual(['token\n', 'token\n']);
  const { client, seen } = await openApi([limited, json(200, { imported: 0 })]);
  async function* lines(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('token\n');
  }
  await expect(client.importDevices('shop', 'csv', lines())).rejects.toMatchObject({ code: 'rate-limited' });
  expect(seen).toHaveLength(1);
});

test('an API that does not answer is given up in time, and a signal gives up at once', async () => {
  const { client } = await openApi([() => undefined], { timeoutMs: 100, retries: 1 });
  await expect(client.batch('b')).rejects.toMatchObject({ code: 'unreachable' });
  const abort = new AbortController();
  const { client: patient, seen } = await openApi([() => abort.abort()]);
  await expect(patient.batch('b', { signal: abort.signal })).rejects.toMatchObject({ code: 'unreachable' });
  expect(seen).toHaveLength(1);
});

test('an answer that is no JSON is told as such', async () => {
  const html: Reply = (response) => void response.writeHead(502).end('<html>');
  const { client } = await openApi([html]);
  await expect(client.batch('b')).rejects.toMatchObject({ code: 'unreadable-answer', status: 502 });
});

test('exceptions of a broadcast are read page by page', async () => {
  const page = (ids: number[], next: string | null): Reply =>
    json(200, { exceptions: ids.map((index) => ({ index })), next });
  const { client, seen } = await openApi([page([4, 6], '0-6'), page([1], null)]);
  const told: number[] = [];
  for await (const { index } of client.broadcastExceptions('b')) told.push(index);
  expect(told).toEqual([4, 6, 1]);
  expect(seen.map(({ url }) => url)).toEqual([
    '/base/v1/broadcasts/b/exceptions?format=json',
    '/base/v1/broadcasts/b/exceptions?after=0-6&format=json',
  ]);
});

test('exceptions are read page by page, and tokens stay whole in paths', async () => {
  const page = (indexes: number[], next: number | null) =>
    json(200, { exceptions: indexes.map((index) => ({ index })), next });
  const { client, seen } = await openApi([page([1, 2], 2), page([5], null), json(200, { token: 'a/b=' })]);
  const indexes: number[] = [];
  for await (const { index } of client.exceptions('b')) indexes.push(index);
  expect(indexes).toEqual([1, 2, 5]);
  expect(seen.map(({ url }) => url.split('?')[1])).toEqual(['after=0&format=json', 'after=2&format=json']);
  await client.device('shop', 'a/b=');
  expect(seen[2]!.url).toBe('/base/v1/devices/a%2Fb%3D?app=shop');
});

test('what is cancelled and removed goes out as the API wants it', async () => {
  const gone: Reply = (response) => void response.writeHead(204).end();
  const cancelled = json(202, { id: 'b', queued: 7 });
  const { client, seen } = await openApi([cancelled, cancelled, gone]);
  expect(await client.cancelBatch('b')).toBe(7);
  await client.cancelNotification('n');
  await client.removeDevice('shop', 'ab');
  expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'DELETE /base/v1/batches/b',
    'DELETE /base/v1/notifications/n',
    'DELETE /base/v1/devices/ab?app=shop',
  ]);
});

test('a broadcast is followed however its events are cut', async () => {
  const text =
    'retry: 2000\n\nid: 1\nevent: progress\ndata: {"enqueued":1,"state":"running"}\n\n: still here\n\n' +
    'id: 2\nevent: progress\ndata: {"enqueued":2,"state":"finished","queued":0}\n\n';
  const events: Reply = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const write = (at: number): void => {
      if (at >= text.length) response.end();
      else response.write(text.slice(at, at + 7), () => setImmediate(write, at + 7));
    };
    write(0);
  };
  const { client, seen } = await openApi([events]);
  const told: number[] = [];
  for await (const { enqueued } of client.followBroadcast('b')) told.push(enqueued);
  expect(told).toEqual([1, 2]);
  expect(seen[0]!.headers.accept).toBe('text/event-stream');
});

test('a broadcast is followed on when its events break off, and until the API is away', async () => {
  const event = (fields: object): string => `data: ${JSON.stringify(fields)}\n\n`;
  const stream =
    (text: string, isCut: boolean): Reply =>
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(text, () => (isCut ? response.socket!.destroy() : response.end()));
    };
  const { client, seen } = await openApi([
    stream(event({ enqueued: 1, state: 'running' }), true),
    stream(event({ enqueued: 2, state: 'cancelled', queued: 3 }), false),
    stream(event({ enqueued: 2, state: 'cancelled', queued: 0 }), false),
  ]);
  const told: number[] = [];
  for await (const { enqueued } of client.followBroadcast('b')) told.push(enqueued);
  expect(told).toEqual([1, 2, 2]);
  expect(seen).toHaveLength(3);
  const away = await openApi([stream(event({ enqueued: 1, state: 'running' }), true), cut], { retries: 0 });
  const follow = async (): Promise<void> => {
    for await (const _ of away.client.followBroadcast('b'));
  };
  await expect(follow()).rejects.toMatchObject({ code: 'unreachable' });
});

test('any operation can be called by its name', async () => {
  const { client, seen } = await openApi([json(200, { apps: [] })]);
  expect(await client.call('GET /v1/apps')).toEqual({ apps: [] });
  await client.call('POST /v1/apps/{app}/pause', { path: { app: 'shop' }, body: { reason: 'why' } });
  expect(seen[1]).toMatchObject({
    method: 'POST',
    url: '/base/v1/apps/shop/pause',
    body: '{"reason":"why"}',
  });
});

test('a call tells whose it is, on every try, where there is somebody', async () => {
  const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const callers = [caller, undefined];
  const { client, seen } = await openApi([cut, json(202, answer)], { traceparent: () => callers.shift() });
  await client.send(request);
  await client.send(request);
  expect(seen.map(({ headers }) => headers.traceparent)).toEqual([caller, caller, undefined]);
});

test('a replay of dead letters asks step by step until there is nothing left, at its rate', async () => {
  const step = (notifications: number, next: string | null): Reply =>
    json(200, { notifications, letters: [], refused: [], next });
  const { client, seen } = await openApi([step(50, '7_a'), cut, step(0, '7_b'), step(1, null)]);
  const startMs = performance.now();
  const counts: number[] = [];
  const replay = client.replayDeadLetters('shop', { reason: 'uncertain' }, { rate: 500 });
  for await (const { notifications } of replay) counts.push(notifications);
  expect(counts).toEqual([50, 0, 1]);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(99);
  const bodies = seen.map(({ body }) => JSON.parse(body) as object);
  const filter = { reason: 'uncertain', limit: 500 };
  expect(bodies).toEqual([
    filter,
    { ...filter, cursor: '7_a' },
    { ...filter, cursor: '7_a' },
    { ...filter, cursor: '7_b' },
  ]);
});
