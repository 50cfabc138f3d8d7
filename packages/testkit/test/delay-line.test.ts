import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DelayLine, startDelayLine } from '../src/index.ts';

let target: Server;
let line: DelayLine;
const sockets: Socket[] = [];

beforeAll(async () => {
  // Echoes, and ends when it is asked to.
  target = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  line = await startDelayLine({ targetPort: (target.address() as AddressInfo).port, maxBytes: 1024 * 1024 });
}, 60_000);

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await line.stop();
  target.close();
});

async function open(settings: Parameters<DelayLine['set']>[0] = {}): Promise<Socket> {
  await line.set({ delayMs: 0, jitterMs: 0, bytesPerSecond: 0, isStalled: false, ...settings });
  const socket = connect(line.port, '127.0.0.1');
  sockets.push(socket);
  // Those of the tests before are cut as well.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Milliseconds from the write to the last byte of the echo. */
async function echo(socket: Socket, sent: Buffer): Promise<number> {
  const startedMs = performance.now();
  const got: Buffer[] = [];
  let length = 0;
  socket.write(sent);
  while (length < sent.length) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    got.push(chunk);
    length += chunk.length;
  }
  const tookMs = performance.now() - startedMs;
  expect(Buffer.concat(got).equals(sent)).toBe(true);
  return tookMs;
}

/** Bytes whose order is seen. */
function numbered(length: number): Buffer {
  return Buffer.from(Uint32Array.from({ length: length / 4 }, (_, place) => place).buffer);
}

test('passes on what comes, and the end of it', async () => {
  const socket = await open();
  await echo(socket, numbered(8_000_000));
  socket.end('bye');
  socket.resume();
  await once(socket, 'end');
}, 60_000);

test('takes a round trip for it, with jitter, in order, also where more is under way than it may hold', async () => {
  const socket = await open({ delayMs: 50, jitterMs: 20 });
  expect(await echo(socket, Buffer.from('ping'))).toBeGreaterThanOrEqual(58);
  // Eight times what may be under way: it waits, and nothing is lost.
  await echo(socket, numbered(8 * 1024 * 1024));
  expect((await line.figures()).mostQueued).toBeLessThan(2 * 1024 * 1024);
}, 60_000);

test('carries no more than its bandwidth', async () => {
  const socket = await open({ bytesPerSecond: 1_000_000 });
  expect(await echo(socket, numbered(300_000))).toBeGreaterThan(280);
}, 60_000);

test('holds everything while it is stalled, and lets it out afterwards', async () => {
  const socket = await open();
  await echo(socket, Buffer.from('before'));
  await line.set({ isStalled: true });
  const after = echo(socket, Buffer.from('after'));
  const held = await Promise.race([after, new Promise((resolve) => setTimeout(resolve, 200, 'held'))]);
  expect(held).toBe('held');
  await line.set({ isStalled: false });
  await after;
}, 60_000);

test.each(['close', 'reset'] as const)(
  'cuts: %s',
  async (how) => {
    const socket = await open();
    await echo(socket, Buffer.from('before'));
    const closed = new Promise((resolve) => {
      socket.once('end', () => resolve('end'));
      socket.once('error', ({ message }) => resolve(message));
    });
    await line.cut(how);
    expect(await closed).toMatch(how === 'close' ? /^end$/ : /ECONNRESET/);
    await echo(await open(), Buffer.from('a new one is taken'));
  },
  60_000,
);
