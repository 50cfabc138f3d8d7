import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

let probe: ProducerProbe;
let guarded: ProducerProbe;
beforeAll(async () => {
  [probe, guarded] = await Promise.all([openProducer(), openProducer({ keys: { ratePerSecond: 0 } })]);
  await Promise.all([probe, guarded].map(({ server }) => server.listen({ port: 0, host: '127.0.0.1' })));
});
afterAll(async () => {
  await Promise.all([probe.close(), guarded.close()]);
});

const bodyBytes = 50_000_000;

async function begin(to: ProducerProbe, target: string, headers: string, start: string): Promise<Socket> {
  const { port } = to.server.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`POST ${target} HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n${start}`);
  return socket;
}

async function answerAndEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  await once(socket, 'close');
  return text;
}

const announced = `content-length: ${bodyBytes}`;
const chunked = 'transfer-encoding: chunked';
const chunkOf = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

test.each<[name: string, target: string, headers: string, start: string, status: number]>([
  [
    'an upload with a line that is none',
    '/v1/uploads?app=shop',
    `content-type: application/x-ndjson\r\n${announced}`,
    '"anna"\n{"user":1}\n',
    400,
  ],
  [
    'a chunked upload with a line that is none',
    '/v1/uploads?app=shop',
    `content-type: application/x-ndjson\r\n${chunked}`,
    chunkOf('"anna"\n{"user":1}\n'),
    400,
  ],
  [
    'an import whose head names no columns',
    '/v1/devices/import?app=shop',
    `content-type: text/csv\r\n${announced}`,
    'user\nx\n',
    400,
  ],
  [
    'an import of an app that there is not',
    '/v1/devices/import?app=gone',
    `content-type: text/csv\r\n${announced}`,
    'token\n',
    404,
  ],
  [
    'an import that is compressed',
    '/v1/devices/import?app=shop',
    `content-type: text/csv\r\ncontent-encoding: gzip\r\n${announced}`,
    'token\n',
    415,
  ],
  [
    'an import of a type that is not taken',
    '/v1/devices/import?app=shop',
    `content-type: application/json\r\n${announced}`,
    '{',
    415,
  ],
  ['a body for a route that there is not', '/v1/nothing', `content-type: text/csv\r\n${announced}`, 'x', 404],
  [
    'a send that is too long',
    '/v1/notifications',
    `content-type: application/json\r\n${announced}`,
    '{"app":',
    413,
  ],
])(
  '%s is answered before its body ends, and the connection closes',
  async (_name, target, headers, start, status) => {
    const socket = await begin(probe, target, headers, start);
    const answer = await answerAndEnd(socket);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(answer).toContain('application/problem+json');
  },
);

test('a body without a key is not waited for', async () => {
  const socket = await begin(
    guarded,
    '/v1/uploads?app=shop',
    `content-type: text/plain\r\n${announced}`,
    'anna\n',
  );
  const answer = await answerAndEnd(socket);
  expect(answer).toMatch(/^HTTP\/1.1 401 /);
  expect(answer.toLowerCase()).toContain('connection: close');
});

test.each([
  ['a request without a body keeps its connection when it is refused', 'GET', '', ''],
  ['a body that is not read closes the connection', 'GET', `${announced}\r\n`, 'x'],
])('%s', async (_name, method, headers, start) => {
  const { port } = guarded.server.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(`${method} /v1/apps HTTP/1.1\r\nhost: x\r\n${headers}\r\n${start}`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString('latin1')).toMatch(/^HTTP\/1.1 401 /);
  expect(/connection: close/i.test(answer.toString('latin1'))).toBe(start !== '');
});

test('a body that nobody reads closes the connection of a request that is served', async () => {
  const { port } = probe.server.server.address() as AddressInfo;
  const reader = connect(port, '127.0.0.1');
  onTestFinished(() => void reader.destroy());
  reader.write(`GET /v1/apps HTTP/1.1\r\nhost: x\r\n${announced}\r\n\r\nx`);
  const answer = await answerAndEnd(reader);
  expect(answer).toMatch(/^HTTP\/1.1 200 /);
  expect(answer.toLowerCase()).toContain('connection: close');
});

test('a stop does not wait for connections without a request, and ends bodies that trickle at its deadline', async () => {
  const stopped = await openProducer({ drainMs: 500 });
  onTestFinished(() => stopped.close());
  await stopped.server.listen({ port: 0, host: '127.0.0.1' });
  const { port } = stopped.server.server.address() as AddressInfo;
  const silent = connect(port, '127.0.0.1');
  const halfHead = connect(port, '127.0.0.1');
  await Promise.all([once(silent, 'connect'), once(halfHead, 'connect')]);
  for (const socket of [silent, halfHead]) {
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
  }
  halfHead.write('POST /v1/notifications HTTP/1.1\r\nhost:');
  const trickling = [
    await begin(stopped, '/v1/devices/import?app=shop', `content-type: text/csv\r\n${announced}`, 'token\n'),
    await begin(stopped, '/v1/uploads?app=shop', `content-type: text/plain\r\n${chunked}`, chunkOf('anna\n')),
    await begin(stopped, '/v1/notifications', 'content-type: application/json\r\ncontent-length: 900', '{'),
  ];
  // Each has been seen by the server when a request that came after it is answered.
  await fetch(`http://127.0.0.1:${port}/v1/apps`);
  const closed = Promise.all([silent, halfHead].map((socket) => once(socket, 'close')));
  const ended = Promise.all(trickling.map((socket) => once(socket, 'close')));
  const startedMs = performance.now();
  const stopping = stopped.server.close();
  await closed;
  await Promise.all([stopping, ended]);
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});
