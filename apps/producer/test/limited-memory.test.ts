import { once } from 'node:events';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase, generateTokens, type TestDatabase } from '@pushfleet/testkit';
import { openTokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { type LimitedProducer, memoryLimitBytes, startLimitedProducer } from './fuzz/start-limited.ts';

// A producer in the 512 MiB that are published for it: what one tenant may do takes nobody else's service away.

vi.setConfig({ testTimeout: 300_000 });
const megabyte = 1024 * 1024;
const tokens = generateTokens({ count: 5_000, seed: 77 });
const [token = ''] = tokens;
const prefix = `${inject('redisPrefix')}-limited`;
let database: TestDatabase;
let producer: LimitedProducer;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  producer = await startLimitedProducer({
    redisUrl: inject('redisUrl'),
    redisPrefix: prefix,
    databaseUrl: database.url,
  });
  await vi.waitFor(async () => expect((await ask('GET', '/v1/webhooks?app=shop')).status).toBe(200), {
    timeout: 60_000,
    interval: 100,
  });
}, 120_000);
afterAll(async () => {
  await producer?.remove();
  await database?.drop();
}, 60_000);

async function ask(method: string, path: string, body?: string, type = 'application/json') {
  const answer = await fetch(`http://127.0.0.1:${producer.port}${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': type }, body }),
  })
    // Refused in mid-body: the connection may be gone before the answer is read.
    .catch(() => undefined);
  const text = (await answer?.text().catch(() => '')) ?? '';
  return { status: answer?.status ?? 503, text };
}

const small = JSON.stringify({ app: 'shop', token, alert: 'x' });
const send = (body: string) => ask('POST', '/v1/notifications', body);

async function expectWell(): Promise<void> {
  expect((await send(small)).status).toBe(202);
  const { peakBytes, kills } = await producer.memory();
  expect(kills).toBe(0);
  expect(peakBytes).toBeLessThanOrEqual(memoryLimitBytes);
}

test('three bodies of the largest that is allowed come at once', async () => {
  const custom = { text: 'é'.repeat(740) };
  const valid = JSON.stringify({
    app: 'shop',
    notifications: tokens.map((each) => ({ token: each, alert: 'x', custom })),
  });
  expect(Buffer.byteLength(valid)).toBeGreaterThan(7.5 * megabyte);
  const statuses = (await Promise.all([valid, valid, valid, small].map(send))).map(({ status }) => status);
  expect(statuses.filter((status) => status !== 202 && status !== 503)).toEqual([]);
  expect(statuses.filter((status) => status === 202).length).toBeGreaterThanOrEqual(2);
  await expectWell();
});

test.each<[name: string, body: () => string]>([
  [
    'millions of values',
    () => `{"app":"shop","token":"${token}","custom":{"a":[${'{},'.repeat(2_600_000)}1]}}`,
  ],
  ['a name of 7 MB', () => `{"app":"shop","token":"${token}","${'x'.repeat(7 * megabyte)}":1}`],
  ['lists 7 million deep', () => `{"app":"shop","custom":${'['.repeat(7_000_000)}`],
  ['numbers without end', () => `{"app":"shop","badge":${'9'.repeat(7 * megabyte)}}`],
])('a body of %s is refused', async (_name, body) => {
  expect((await send(body())).status).toBe(400);
  await expectWell();
});

test('a body beyond the limit is not read to its end', async () => {
  // Or its connection ends before the answer is read.
  expect([413, 503]).toContain((await send(`{"app":"shop","custom":${' '.repeat(39 * megabyte)}`)).status);
  await expectWell();
});

test('a large body in chunks of one byte takes no more memory than its bytes', async () => {
  const body = request({
    port: producer.port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/v1/notifications',
    headers: { 'content-type': 'application/json' },
  });
  const answered = once(body, 'response');
  body.write(' ');
  const socket = body.socket ?? ((await once(body, 'socket')) as [Socket])[0];
  // As they are on the wire.
  const chunks = '1\r\n \r\n'.repeat(100_000);
  for (let round = 0; round < 30; round++) {
    if (!socket.write(chunks)) await once(socket, 'drain');
  }
  body.end(small);
  const [response] = (await answered) as [NodeJS.ReadableStream & { statusCode: number }];
  response.resume();
  expect(response.statusCode).toBe(202);
  await expectWell();
});

test('a user with very many devices is refused, and not read', async () => {
  const store = openTokenStore({ connectionString: database.url, statementTimeoutMs: 120_000 });
  try {
    await store.database.query(
      `insert into devices (app, token, user_id, registered_at, created_at)
       select 'shop', sha256(n::text::bytea), 'everybody', now(), now() from generate_series(1, 300000) n`,
    );
  } finally {
    await store.close();
  }
  const all = JSON.stringify({ app: 'shop', userId: 'everybody', alert: 'x' });
  const answers = await Promise.all([all, all, all].map(send));
  expect(answers.map(({ status }) => status)).toEqual([400, 400, 400]);
  const list = await ask('GET', '/v1/devices?app=shop&userId=everybody');
  expect(list.status).toBe(200);
  expect(list.text.length).toBeLessThan(megabyte);
  await expectWell();
});

test('very many lines that are wrong leave others their turn', async () => {
  const lines = 200_000;
  const importing = request({
    port: producer.port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/v1/devices/import?app=shop',
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const answered = once(importing, 'response');
  importing.end('{"token":"zz"}\n'.repeat(lines));
  let isOver = false;
  void answered.then(() => {
    isOver = true;
  });
  let sent = 0;
  while (!isOver) {
    expect((await send(small)).status).toBe(202);
    sent += 1;
    await delay(20);
  }
  // One that waited for all of it would be the only one.
  expect(sent).toBeGreaterThan(5);
  const [response] = (await answered) as [NodeJS.ReadableStream & { statusCode: number }];
  expect(response.statusCode).toBe(200);
  let text = '';
  for await (const part of response) text += String(part);
  expect(JSON.parse(text)).toMatchObject({ imported: 0, errorCount: lines });
  expect((JSON.parse(text) as { errors: unknown[] }).errors).toHaveLength(1_000);
  await expectWell();
});

test('long lists of large dead letters are read without their data', async () => {
  const redis = new Redis(inject('redisUrl'));
  const key = `${prefix}:{shop}:dead-letters`;
  const description = JSON.stringify({
    kind: 'dead',
    lane: 'bulk',
    batch: '0198c0de-0000-7000-8000-000000000000',
    count: 1_000,
    reasons: { uncertain: 1_000 },
    atMs: 1_700_000_000_000,
  });
  const data = JSON.stringify({ v: 1, filler: 'x'.repeat(5 * megabyte) });
  for (let place = 0; place < 40; place++) {
    const letter = { name: 'dead', data, meta: description, timestamp: '1700000000000', opts: '{}' };
    await redis.hset(`${key}:letter-${place}`, letter);
    await redis.lpush(`${key}:wait`, `letter-${place}`);
  }
  const lists = await Promise.all(
    Array.from({ length: 20 }, () => ask('GET', '/v1/apps/shop/dead-letters?limit=40')),
  );
  expect(new Set(lists.map(({ status }) => status))).toEqual(new Set([200]));
  expect(Math.max(...lists.map(({ text }) => text.length))).toBeLessThan(megabyte);
  await expectWell();
  await redis.unlink(...(await redis.keys(`${key}*`)));
  redis.disconnect();
});
