import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FaultProxy, openFaultProxy } from '../src/index.ts';

/** One end of a connection, and everything that happens to it. */
interface End {
  readonly socket: Socket;
  received: Buffer;
  /** How it ended: `fin`, or the code of an error. */
  readonly ended: Promise<string>;
}

function watch(socket: Socket): End {
  const end: End = {
    socket,
    received: Buffer.alloc(0),
    ended: new Promise((resolve) => {
      socket.once('end', () => resolve('fin'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    }),
  };
  socket.on('data', (bytes: Buffer) => {
    end.received = Buffer.concat([end.received, bytes]);
  });
  return end;
}

async function receive(end: End, length: number): Promise<Buffer> {
  while (end.received.length < length) await once(end.socket, 'data');
  return end.received;
}

let target: Server;
let proxy: FaultProxy;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  target = createServer({ allowHalfOpen: true });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  proxy = await openFaultProxy({ target: { port: (target.address() as AddressInfo).port } });
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await proxy.close();
  target.close();
  await once(target, 'close');
});

/** Both ends of a connection through the proxy. */
async function open(): Promise<{ client: End; server: End }> {
  const arrival = once(target, 'connection') as Promise<[Socket]>;
  const client = connect(proxy.port, proxy.host);
  const [server] = await arrival;
  sockets.push(client, server);
  return { client: watch(client), server: watch(server) };
}

function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, at) => at % 251));
}

test('without toxics everything passes, both ways, and the ends are passed on', async () => {
  const { client, server } = await open();
  const much = bytes(3_000_000);
  client.socket.end(much);
  expect((await receive(server, much.length)).equals(much)).toBe(true);
  expect(await server.ended).toBe('fin');
  server.socket.end('answer after the other side has ended');
  expect(String(await receive(client, 37))).toBe('answer after the other side has ended');
  expect(await client.ended).toBe('fin');
});

for (const direction of ['upstream', 'downstream'] as const) {
  for (const limit of [1, 5, 6, 4_096, 100_000]) {
    test(`limit_data cuts ${direction} exactly behind byte ${limit}`, async () => {
      proxy.add(direction, { type: 'limit_data', bytes: limit });
      const { client, server } = await open();
      const [sender, receiver] = direction === 'upstream' ? [client, server] : [server, client];
      sender.socket.write(bytes(200_000));
      expect(await receiver.ended).toBe('fin');
      expect(receiver.received.equals(bytes(limit))).toBe(true);
      expect(await sender.ended).toBe('fin');
    });
  }
}

test('limit_data can end with a reset', async () => {
  proxy.add('upstream', { type: 'limit_data', bytes: 10, how: 'reset' });
  const { client, server } = await open();
  client.socket.write(bytes(100));
  expect(await client.ended).toBe('ECONNRESET');
  expect(await server.ended).toBe('ECONNRESET');
});

test('reset_peer resets both sides after its time, though nothing flows', async () => {
  proxy.add('downstream', { type: 'reset_peer', timeoutMs: 20 });
  const { client, server } = await open();
  expect(await client.ended).toBe('ECONNRESET');
  expect(await server.ended).toBe('ECONNRESET');
});

test('latency delays what passes, without holding back what comes behind', async () => {
  proxy.add('upstream', { type: 'latency', latencyMs: 100 });
  const { client, server } = await open();
  const startedAt = performance.now();
  for (let part = 0; part < 10; part += 1) {
    client.socket.write(bytes(10));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await receive(server, 100);
  const durationMs = performance.now() - startedAt;
  // Not 10 times 100 ms; timers may be a millisecond early.
  expect(durationMs).toBeGreaterThanOrEqual(98);
  expect(durationMs).toBeLessThan(900);
});

test('bandwidth holds the rate', async () => {
  proxy.add('upstream', { type: 'bandwidth', bytesPerSecond: 100_000 });
  const { client, server } = await open();
  const startedAt = performance.now();
  client.socket.write(bytes(30_000));
  expect((await receive(server, 30_000)).equals(bytes(30_000))).toBe(true);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(290);
});

test('slicer hands over small pieces and loses nothing', async () => {
  proxy.add('downstream', { type: 'slicer', averageSize: 3, sizeVariation: 2, delayMs: 1 });
  const { client, server } = await open();
  const pieces: number[] = [];
  client.socket.on('data', (piece: Buffer) => pieces.push(piece.length));
  server.socket.write(bytes(60));
  expect((await receive(client, 60)).equals(bytes(60))).toBe(true);
  expect(pieces.length).toBeGreaterThan(5);
});

test('slow_close passes the end on late', async () => {
  proxy.add('upstream', { type: 'slow_close', delayMs: 80 });
  const { client, server } = await open();
  const startedAt = performance.now();
  client.socket.end('bye');
  expect(await server.ended).toBe('fin');
  expect(String(server.received)).toBe('bye');
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(78);
});

test('timeout is a black hole that closes after its time', async () => {
  const { client, server } = await open();
  client.socket.write('before');
  await receive(server, 6);
  proxy.add('upstream', { type: 'timeout', timeoutMs: 50 });
  client.socket.write('lost');
  expect(await server.ended).toBe('fin');
  expect(await client.ended).toBe('fin');
  expect(String(server.received)).toBe('before');
});

test('a black hole without a time lets later bytes pass again', async () => {
  const { client, server } = await open();
  const lift = proxy.add('upstream', { type: 'timeout', timeoutMs: 0 });
  await new Promise<void>((resolve) => client.socket.write('lost', () => resolve()));
  server.socket.write('the other way is free');
  await receive(client, 21);
  lift();
  client.socket.write('through');
  expect(String(await receive(server, 7))).toBe('through');
});

test('stop_reading pushes back on the sender and loses nothing', async () => {
  const { client, server } = await open();
  const resume = proxy.add('upstream', { type: 'stop_reading' });
  const much = bytes(20_000_000);
  let flushed = false;
  expect(client.socket.write(much, () => (flushed = true))).toBe(false);
  server.socket.write('ping');
  await receive(client, 4);
  expect(flushed).toBe(false);
  expect(server.received.length).toBeLessThan(much.length);
  resume();
  expect((await receive(server, much.length)).equals(much)).toBe(true);
});

test('toxics come and go on a connection that is open', async () => {
  const { client, server } = await open();
  client.socket.write('a');
  await receive(server, 1);
  const remove = proxy.add('upstream', { type: 'latency', latencyMs: 60_000 });
  remove();
  client.socket.write('b');
  expect(String(await receive(server, 2))).toBe('ab');
  proxy.add('downstream', { type: 'limit_data', bytes: 2 });
  proxy.clear();
  server.socket.write('answer');
  expect(String(await receive(client, 6))).toBe('answer');
});

test('while disabled, connections are refused on the same port, and those there are go on', async () => {
  const { client, server } = await open();
  await proxy.disable();
  const refused = connect(proxy.port, proxy.host);
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
  client.socket.write('still here');
  expect(String(await receive(server, 10))).toBe('still here');
  await proxy.enable();
  await open();
  expect(proxy.accepted).toBe(2);
  await proxy.waitForConnections(2);
});

test('cut ends the connections there are and takes new ones', async () => {
  const { client, server } = await open();
  proxy.cut('close');
  expect([await client.ended, await server.ended]).toEqual(['fin', 'fin']);
  const next = await open();
  proxy.cut('reset');
  expect([await next.client.ended, await next.server.ended]).toEqual(['ECONNRESET', 'ECONNRESET']);
});

test('a reset by one side reaches the other as a reset', async () => {
  const { client, server } = await open();
  server.socket.resetAndDestroy();
  expect(await client.ended).toBe('ECONNRESET');
});

test('a target that refuses ends the connection, and close ends everything', async () => {
  const nowhere = await openFaultProxy({ target: { port: proxy.port } });
  await proxy.disable();
  const client = watch(connect(nowhere.port, nowhere.host));
  expect(await client.ended).toBe('fin');
  await nowhere.close();
  expect(nowhere.connections).toEqual([]);
});

test('waiting for connections that do not come ends with a clear error', async () => {
  await expect(proxy.waitForConnections(1, 50)).rejects.toThrow('0 of 1 connections came within 0.05 s');
});

test('a connection that is reset while it is being closed is gone', async () => {
  await open();
  const [connection] = proxy.connections;
  connection!.cut('close');
  connection!.cut('reset');
  await connection!.closed;
});
