import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { encodeNotification } from '@pushfleet/apns-wire';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notifications } from './simulator-test.ts';

// No reset of a connection ends the simulator, whatever stage it comes at: it is one process, and every error that
// nobody catches would be its end.

let simulator: Simulator;
let identity: { ca: Buffer; cert: Buffer; key: Buffer };
beforeAll(async () => {
  simulator = await startSimulator();
  const read = async (name: string) => readFile(join(simulator.tlsDir, name));
  const [ca, cert, key] = await Promise.all([read('ca.pem'), read('client.pem'), read('client-key.pem')]);
  identity = { ca: ca!, cert: cert!, key: key! };
});
afterAll(async () => {
  const { code, signal } = await simulator.stop();
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  expect(simulator.process.lines.filter(({ stream }) => stream === 'stderr')).toEqual([]);
});

async function dial(port: number): Promise<Socket> {
  const tcp = connectTcp({ host: '127.0.0.1', port });
  tcp.on('error', () => undefined);
  await once(tcp, 'connect');
  return tcp;
}

/** Resets the TCP connection, and waits until the simulator has served another connection since. */
async function reset(tcp: Socket): Promise<void> {
  tcp.resetAndDestroy();
  if (!tcp.closed) await new Promise((resolve) => tcp.once('close', resolve));
  await simulator.control.connections();
}

/** A TLS connection over a TCP connection that can be reset below it. */
async function dialTls(port: number, ALPNProtocols?: string[]) {
  const tcp = await dial(port);
  const tls = connectTls({
    ...{ socket: tcp, servername: 'localhost', ...identity },
    ...(ALPNProtocols === undefined ? {} : { ALPNProtocols }),
  });
  tls.on('error', () => undefined);
  return { tcp, tls };
}

const gateways = ['binaryPort', 'feedbackPort', 'http2Port'] as const;

describe.for(gateways)('a reset at %s', (name) => {
  const alpn = name === 'http2Port' ? ['h2'] : undefined;

  test('before the handshake, and after some bytes of it', async () => {
    await reset(await dial(simulator[name]));
    for (const bytes of [1, 5, 100]) {
      const tcp = await dial(simulator[name]);
      await new Promise((resolve) => tcp.write(Buffer.alloc(bytes, 0x16), resolve));
      await reset(tcp);
    }
    const { tcp } = await dialTls(simulator[name], alpn);
    // The client's hello is on its way.
    await new Promise((resolve) => setImmediate(resolve));
    await reset(tcp);
  });

  test('in the turn in which the handshake is done, and after the first bytes have come', async () => {
    const early = await dialTls(simulator[name], alpn);
    await new Promise<void>((resolve) => {
      early.tls.once('secureConnect', () => {
        early.tcp.resetAndDestroy();
        resolve();
      });
    });
    await simulator.control.connections();
    await simulator.control.feedback(
      Array.from({ length: 50_000 }, (_, time) => ({ token: 'ab'.repeat(32), time })),
    );
    const late = await dialTls(simulator[name], alpn);
    await once(late.tls, 'secureConnect');
    if (name !== 'binaryPort') await once(late.tls, 'data');
    await reset(late.tcp);
    await simulator.control.reset();
  });

  test('while noise is written', async () => {
    const { tcp, tls } = await dialTls(simulator[name], alpn);
    await once(tls, 'secureConnect');
    tls.write(Buffer.alloc(200_000, 0xee));
    await reset(tcp);
  });
});

describe('a reset of a reader of feedback', () => {
  const stages = [
    { kind: 'hang', afterBytes: 10 },
    { kind: 'slice', bytes: 7, everyMs: 1 },
    { kind: 'cut', afterBytes: 10 },
    { kind: 'reset', afterBytes: 10 },
  ] as const;
  test.for(stages)('while the service does $kind', async (action) => {
    await simulator.control.faults({ rules: [{ on: 'feedback', action }] });
    await simulator.control.feedback([{ token: 'ab'.repeat(32), time: 1 }]);
    const { tcp, tls } = await dialTls(simulator.feedbackPort);
    await new Promise((resolve) => {
      tls.once('data', resolve);
      tls.once('close', resolve);
    });
    await reset(tcp);
    await simulator.control.reset();
  });
});

describe('a reset of a sender', () => {
  test('after notifications, with the error packet on its way', async () => {
    await simulator.control.faults({
      rules: [{ on: 'binary', match: { after: 2 }, action: { kind: 'shutdown', splitMs: 1 } }],
    });
    const { tcp, tls } = await dialTls(simulator.binaryPort);
    await once(tls, 'secureConnect');
    tls.write(Buffer.concat(notifications(1, 5).map((each) => encodeNotification(each))));
    await once(tls, 'data');
    await reset(tcp);
  });

  const actions = [
    { kind: 'delay', ms: 20 },
    { kind: 'respond', status: 502, body: 'x'.repeat(100_000), delayMs: 10 },
    { kind: 'hang' },
    { kind: 'goaway', closes: false },
    { kind: 'goaway', lastStreamId: 0 },
    { kind: 'streamLimit', limit: 3 },
    { kind: 'close' },
    { kind: 'resetStream' },
  ] as const;
  test.for(actions)('with streams open, while the gateway does $kind', async (action) => {
    await simulator.control.faults({ rules: [{ on: 'http2', action }] });
    const tcp = await dial(simulator.http2Port);
    const session = connectHttp2('https://localhost', {
      createConnection: () =>
        connectTls({ socket: tcp, servername: 'localhost', ALPNProtocols: ['h2'], ...identity }),
    });
    session.on('error', () => undefined);
    await new Promise((resolve) => {
      session.once('remoteSettings', resolve);
      session.once('close', resolve);
    });
    for (let stream = 0; stream < 20 && !session.destroyed && !session.closed; stream += 1) {
      const path = `/3/device/${'ab'.repeat(32)}`;
      const request = session.request({ ':method': 'POST', ':path': path, 'apns-topic': 'com.example.shop' });
      request.on('error', () => undefined);
      request.resume();
      request.end('{}');
      // Given up in the same turn: the stream is closed when its body is complete.
      if (stream % 4 === 0) request.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setImmediate(resolve));
    tcp.resetAndDestroy();
    // The rules change while the connection ends: that is answered, too.
    const rules = [
      { on: 'http2', action },
      { on: 'http2', action: { kind: 'goaway' } },
      { on: 'http2', action: { kind: 'streamLimit', limit: 5 } },
    ] as const;
    await Promise.all(Array.from({ length: 5 }, async () => simulator.control.faults({ rules })));
    await simulator.control.reset();
  });
});

test('a reset of a client of the control API', async () => {
  await simulator.control.feedback([{ token: 'ab', time: 1 }]);
  for (const request of [
    '',
    'POST /faults HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"rul',
    'GET /ledger/notifications HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET /ledger HTTP/1.1\r\n',
    '\0\0\0\0\r\n\r\n',
  ]) {
    const tcp = await dial(simulator.controlPort);
    if (request !== '') await new Promise((resolve) => tcp.write(request, resolve));
    await reset(tcp);
  }
  await simulator.control.reset();
});
