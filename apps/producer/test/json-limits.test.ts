import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateTokens, startProcess } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test } from 'vitest';
import { parseJson } from '../src/http/parse-json.ts';
import { Problem } from '../src/http/problem.ts';

const megabyte = 1024 * 1024;
const tokens = generateTokens({ count: 5_000, seed: 77 });
const [token = ''] = tokens;
const long = 'x'.repeat(megabyte);
const many = (value: string, count: number) => `[${`${value},`.repeat(count - 1)}${value}]`;

test.each<[name: string, text: string, field: string]>([
  ['a field that holds very many values', `{"custom":{"a":${many('{}', 100_000)}}}`, 'custom'],
  [
    'a notification of a list that is very long',
    `{"notifications":[{},{"custom":{"a":${many('1', 100_000)}}}]}`,
    'notifications[1]',
  ],
  ['very many values in all', `{"notifications":${many(`{"custom":${many('[]', 1_000)}}`, 2_000)}}`, 'body'],
  ['very many names in all', `{"notifications":${many(`{${'"a":{"b":{}},"c":1'}}`, 300_000)}}`, 'body'],
  ['a very long name', `{"${long}":1}`, `${'x'.repeat(80)}…`],
  ['a very long name that is escaped', `{"a":{"\\u0078${long}":1}}`, `a.`],
  ['a very long name twice', `{"${'y'.repeat(60_000)}":1,"${'y'.repeat(60_000)}":2}`, `${'y'.repeat(80)}…`],
  ['a very long text', `{"alert":"${long}"}`, 'alert'],
  ['a very long number', `{"badge":0.${'0'.repeat(megabyte)}1}`, 'badge'],
])('%s is refused before it is parsed, with its field', (_name, text, field) => {
  const found = (() => {
    try {
      return parseJson(text, 'the body');
    } catch (error) {
      return error as Problem;
    }
  })();
  expect(found).toBeInstanceOf(Problem);
  const { status, errors, message } = found as Problem;
  expect({ status, count: errors.length }).toEqual({ status: 400, count: 1 });
  expect(errors[0]?.field.startsWith(field)).toBe(true);
  expect(message.length).toBeLessThan(400);
});

test('what 5,000 notifications may hold is taken', () => {
  const payload = JSON.stringify({
    aps: { alert: 'x'.repeat(3_900) },
    values: Array.from({ length: 80 }, () => 1),
  });
  const text = `{"notifications":${many(`{"token":"${token}","payload":${payload}}`, 5_000)}}`;
  expect((parseJson(text, 'the body') as { notifications: unknown[] }).notifications).toHaveLength(5_000);
});

test('a producer of little memory survives what one caller can send at once, and serves another', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'producer-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const config = join(folder, 'pushfleet.yaml');
  await writeFile(
    config,
    'apps: { shop: { topic: t, environment: sandbox, transport: http2, credential: { p12: none.p12 } } }',
  );
  const producer = await startProcess({
    entry: new URL('../src/main.ts', import.meta.url),
    env: {
      REDIS_URL: inject('redisUrl'),
      DATABASE_URL: inject('databaseUrl'),
      PUSHFLEET_CONFIG: config,
      PUSHFLEET_REDIS_PREFIX: `${inject('redisPrefix')}-little`,
      PUSHFLEET_PORT: '0',
      PUSHFLEET_ADMIN_PORT: '0',
      // What Node takes for itself in a container of 512 MiB.
      NODE_OPTIONS: '--max-old-space-size=256',
    },
  });
  onTestFinished(async () => void (await producer.kill()));
  const url = `http://127.0.0.1:${(producer.ready as { port: number }).port}/v1/notifications`;
  const send = async (body: string) => {
    const headers = { 'content-type': 'application/json' };
    // Refused in mid-body: the connection may be gone before the answer is read.
    const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => undefined);
    await answer?.arrayBuffer();
    return answer?.status ?? 503;
  };
  const small = JSON.stringify({ app: 'shop', token, alert: 'x' });
  const custom = { text: 'é'.repeat(740) };
  const valid = JSON.stringify({
    app: 'shop',
    notifications: tokens.map((each) => ({ token: each, alert: 'x', custom })),
  });
  expect(Buffer.byteLength(valid)).toBeGreaterThan(7.5 * megabyte);
  const large = await Promise.all([send(valid), send(valid), send(valid), send(small)]);
  expect(large.filter((status) => status === 202).length).toBeGreaterThanOrEqual(2);
  expect(large.filter((status) => status !== 202 && status !== 503)).toEqual([]);
  expect(large.at(-1)).toBe(202);
  const bomb = `{"app":"shop","token":"${token}","custom":{"a":${many('{}', 2_600_000)}}}`;
  const name = `{"app":"shop","token":"${token}","${'x'.repeat(7 * megabyte)}":1}`;
  for (const body of [bomb, name]) {
    expect(await send(body)).toBe(400);
    expect(await send(small)).toBe(202);
  }
}, 120_000);
