import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 31 });
let probe: ProducerProbe;
let port: number;
beforeAll(async () => {
  probe = await openProducer();
  await probe.server.listen({ port: 0, host: '127.0.0.1' });
  port = (probe.server.server.address() as AddressInfo).port;
});
afterAll(async () => probe.close());

interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // biome-ignore lint/suspicious/noExplicitAny: what it is like is what the tests find out.
  readonly body: any;
  readonly text: string;
}

/** Writes bytes, and reads the one answer until the connection closes. */
async function raw(request: string | Buffer): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => undefined);
  socket.write(request);
  await once(socket, 'close');
  const text = Buffer.concat(parts).toString();
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  );
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    body: body === '' ? undefined : JSON.parse(body),
    text,
  };
}

const line = (method: string, path: string, ...headers: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'host: x', 'connection: close', ...headers, '', ''].join('\r\n');
const json = 'content-type: application/json';

describe('every error is problem+json with a code and a request id, and repeats no token', () => {
  test.each<[string, string, number, string]>([
    [
      'percent-encoding that is none',
      line('GET', `/v1/devices/${token}%zz?app=shop`),
      400,
      'invalid-request',
    ],
    [
      'a path of 600 characters',
      line('GET', `/v1/devices/${token.repeat(10)}x?app=shop`),
      400,
      'invalid-request',
    ],
    [
      'a path of 3,000 characters',
      line('GET', `/v1/devices/${token.repeat(50)}?app=shop`),
      400,
      'invalid-request',
    ],
    [
      'headers of 20 KB',
      line('GET', '/v1/apps', `x-padding: ${token.repeat(320)}`),
      431,
      'request-too-large',
    ],
    ['a request that is no HTTP', `${token}\r\n\r\n`, 400, 'invalid-request'],
    ['a header that is none', line('GET', '/v1/apps', `${token} x`), 400, 'invalid-request'],
    [
      'two framings at once',
      line('POST', '/v1/notifications', json, 'content-length: 5', 'transfer-encoding: chunked'),
      400,
      'invalid-request',
    ],
    [
      'a length that is none',
      line('POST', '/v1/notifications', json, 'content-length: -1'),
      400,
      'invalid-request',
    ],
    [
      'a chunk that is none',
      `${line('POST', '/v1/notifications', json, 'transfer-encoding: chunked')}zz\r\n`,
      400,
      'invalid-request',
    ],
    ['no host', 'GET /v1/apps HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid-request'],
    ['a route that there is not', line('GET', `/v2/${token}`), 404, 'no-route'],
    [
      'a method that the route does not take',
      line('PATCH', `/v1/devices/${token}`),
      405,
      'method-not-allowed',
    ],
    ['OPTIONS', line('OPTIONS', '/v1/notifications'), 405, 'method-not-allowed'],
    ['TRACE', line('TRACE', '/v1/notifications'), 405, 'method-not-allowed'],
    [
      'a request that names no host',
      `GET /v1/devices/${token} HTTP/1.1\r\nconnection: close\r\n\r\n`,
      400,
      'invalid-request',
    ],
    ['another version of HTTP', `GET /v1/apps HTTP/9.9\r\nhost: x\r\n\r\n`, 400, 'invalid-request'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'invalid-request'],
    ['an upgrade', line('GET', `/v1/${token}`, 'upgrade: websocket'), 404, 'no-route'],
    ['a method that nobody knows', line('PROPFIND', '/v1/notifications'), 405, 'method-not-allowed'],
    ['GET where POST is meant', line('GET', '/v1/notifications'), 405, 'method-not-allowed'],
    [
      'a dead letter that there is not',
      line('GET', `/v1/apps/shop/dead-letters/${token}`),
      404,
      'unknown-dead-letter',
    ],
  ])('%s', async (_name, request, status, code) => {
    const answer = await raw(request);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.body).toMatchObject({ status, code, requestId: answer.headers['x-request-id'] });
    expect(answer.body.requestId).toMatch(/^[\w.:-]+$/);
    expect(answer.text).not.toContain(token);
    if (status === 405) expect(answer.headers.allow).toMatch(/[A-Z]/);
    expect(probe.log.join('')).not.toContain(token);
  });
});

test.each(['0x10', '1e2', ' 10', '10 ', '', '+5', '5.0', '٥', '1'.repeat(400), '0', '101'])(
  'a limit of "%s" is refused with its field',
  async (limit) => {
    const answer = await probe.call('GET', `/v1/broadcasts?app=shop&limit=${encodeURIComponent(limit)}`);
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toMatchObject([{ field: 'limit' }]);
  },
);

test.each<[string, Record<string, string>, string | Buffer, number, string]>([
  ['gzip', { 'content-encoding': 'gzip' }, Buffer.from([0x1f, 0x8b, 8]), 415, 'Content-Encoding'],
  ['another charset', { 'content-type': 'application/json; charset=iso-8859-1' }, '{}', 415, 'Content-Type'],
  ['another type', { 'content-type': 'application/xml' }, '<x/>', 415, 'Content-Type'],
  ['bytes that are not UTF-8', {}, Buffer.from('{"app":"jos\xe9"}', 'latin1'), 400, ''],
  [
    'a number whose digits would be lost',
    {},
    '{"app":"shop","custom":{"pi":3.14159265358979323846}}',
    400,
    'custom.pi',
  ],
  ['a number too large for any', {}, '{"app":"shop","custom":{"a":[1,1e400]}}', 400, 'custom.a[1]'],
  ['a zero below zero', {}, '{"app":"shop","custom":{"a":[0,0.0,-1,-0]}}', 400, 'custom.a[3]'],
  ['a zero below zero with an exponent', {}, '{"app":"shop","badge":-0.0e1}', 400, 'badge'],
  ['__proto__ among custom keys', {}, '{"app":"shop","custom":{"__proto__":1}}', 400, 'custom.__proto__'],
  ['__proto__ in escapes', {}, '{"app":"shop","custom":{"\\u005f_proto__":1}}', 400, 'custom.__proto__'],
  ['a field that is there twice', {}, '{"app":"shop","alert":"a","alert":"b"}', 400, 'alert'],
  [
    'a field twice in a list',
    {},
    '{"notifications":[{},{"badge":1,"badge":2}]}',
    400,
    'notifications[1].badge',
  ],
])('%s is refused before anything is lost', async (_name, headers, body, status, field) => {
  const answer = await probe.call('POST', '/v1/notifications', {
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  expect(answer.status).toBe(status);
  expect(answer.body.errors?.[0]?.field ?? '').toBe(field);
});

test.each([
  ['custom', 100_000, '{"app":"shop","userId":"anna","alert":"x","custom":{"a":', '}}'],
  ['payload', 100_000, '{"app":"shop","userId":"anna","payload":{"aps":{},"a":', '}}'],
  ['lists', 100_000, '', ''],
])('%s nested %i deep are answered 400', async (_name, depth, before, after) => {
  const body = `${before}${'['.repeat(depth)}${']'.repeat(depth)}${after}`;
  for (const url of ['/v1/notifications', '/v1/broadcasts']) {
    const answer = await probe.call('POST', url, { headers: { 'content-type': 'application/json' }, body });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ message: /nested more than/ }] } });
  }
});

test('an audience nested 3,000 deep is answered 400', async () => {
  const tags = `${'{"not":'.repeat(3_000)}"vip"${'}'.repeat(3_000)}`;
  const body = `{"app":"shop","alert":"x","audience":{"tags":${tags}}}`;
  const answer = await probe.call('POST', '/v1/broadcasts', {
    headers: { 'content-type': 'application/json' },
    body,
  });
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-request' } });
});

test('a client that goes away in an import is not logged as a failure of ours', async () => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const type = 'content-type: application/x-ndjson';
  socket.write(
    `POST /v1/devices/import?app=shop HTTP/1.1\r\nhost: x\r\n${type}\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  socket.write('1\r\n{\r\n');
  await expect.poll(() => probe.server.server.connections ?? 1).toBeGreaterThan(0);
  const before = probe.log.length;
  socket.resetAndDestroy();
  await expect.poll(() => probe.log.slice(before).some((entry) => entry.includes('went away'))).toBe(true);
  for (const entry of probe.log) expect(JSON.parse(entry).level).not.toBe('error');
});

test('an early answer to a body that goes on closes the connection', async () => {
  const head = ['POST /v1/devices/import?app=gone HTTP/1.1', 'host: x', 'content-type: text/csv'];
  const answer = await raw(`${[...head, 'transfer-encoding: chunked', '', ''].join('\r\n')}1\r\nx\r\n`);
  expect(answer).toMatchObject({
    status: 404,
    headers: { connection: 'close' },
    body: { code: 'unknown-app' },
  });
});

test('a request during the stop is told so and to come again, or its connection ends', async () => {
  const stopping = await openProducer();
  await stopping.server.listen({ port: 0, host: '127.0.0.1' });
  const address = stopping.server.server.address() as AddressInfo;
  const socket = connect(address.port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  // The head of a request is on its way when the stop begins.
  socket.write('GET /v1/apps HTTP/1.1\r\nhost: x\r\n');
  await once(stopping.server.server, 'connection').catch(() => undefined);
  const closing = stopping.close();
  socket.write('\r\n');
  await closed;
  await closing;
  const text = Buffer.concat(parts).toString();
  if (text === '') return;
  expect(text).toContain('503');
  expect(text.toLowerCase()).toContain('retry-after: 1');
  expect(text).toContain('"code":"stopping"');
  expect(text.toLowerCase()).toContain('connection: close');
});

test('what a client expects beyond 100-continue is no reason to refuse it', async () => {
  expect((await raw(line('GET', '/v1/apps', 'expect: 200-ok'))).status).toBe(200);
});
