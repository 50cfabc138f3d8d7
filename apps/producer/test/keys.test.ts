import { generateTokens } from '@pushfleet/testkit';
import type { NewApiKey } from '@pushfleet/token-store';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scopeOf } from '../src/auth/grant.ts';
import { RateLimiter } from '../src/auth/rate-limiter.ts';
import { readProducerEnvironment } from '../src/producer-environment.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 20 });
let probe: ProducerProbe;
let count = 0;
beforeAll(async () => {
  probe = await openProducer({ keys: { ratePerSecond: 0 } });
});
afterAll(async () => probe.close());

/** A key, as the header that carries it. It is known to the producer when this resolves. */
async function newKey(key: Partial<NewApiKey>): Promise<{ authorization: string; name: string }> {
  count += 1;
  const name = `key-${count}`;
  const { text } = await probe.database.store.apiKeys.create({ name, apps: null, scopes: [], ...key });
  const headers = { authorization: `Bearer ${text}` };
  await expect.poll(async () => (await probe.call('GET', '/v1/apps', { headers })).status).not.toBe(401);
  return { ...headers, name };
}

const send = (headers: Record<string, string>, app = 'shop') =>
  probe.call('POST', '/v1/notifications', { headers, body: { app, token, alert: 'x' } });

test('a request without a key, with a wrong one or with one that was made up is refused', async () => {
  const { authorization } = await newKey({ scopes: ['send'] });
  const forged = `${authorization.slice(0, -4)}AAAA`;
  for (const headers of [
    {},
    { authorization: 'Bearer x' },
    { authorization: 'Basic eDp5' },
    { authorization: forged },
  ]) {
    const answer = await send(headers);
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    expect(answer.text).not.toContain(forged);
  }
  expect((await send({ authorization })).status).toBe(202);
  expect((await probe.call('GET', '/v1/nowhere')).status).toBe(401);
});

test('the document and the reference need no key, and say that the rest does', async () => {
  expect((await probe.call('GET', '/openapi.json')).body.components.securitySchemes).toHaveProperty('key');
  expect((await probe.call('GET', '/docs/')).status).toBe(200);
});

test('a key is good for its apps alone', async () => {
  const key = await newKey({ scopes: ['admin'], apps: ['shop'] });
  expect((await send(key)).status).toBe(202);
  expect(await send(key, 'news')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  const all = await newKey({ scopes: ['admin'] });
  const ofNews = await send(all, 'news');
  expect(await probe.call('GET', `/v1/batches/${ofNews.body.batchId}`, { headers: key })).toMatchObject({
    status: 403,
  });
  expect(await probe.call('DELETE', `/v1/batches/${ofNews.body.batchId}`, { headers: key })).toMatchObject({
    status: 403,
  });
  expect((await probe.call('GET', '/v1/apps', { headers: key })).body.apps).toMatchObject([{ app: 'shop' }]);
  expect((await probe.call('POST', '/v1/apps/news/pause', { headers: key })).status).toBe(403);
});

test.each<[scope: 'send' | 'read' | 'devices' | 'admin', allowed: string[]]>([
  ['send', ['send']],
  ['read', ['status', 'apps']],
  ['devices', ['devices']],
  ['admin', ['send', 'status', 'apps', 'devices', 'letters']],
])('the scope %s is good for %j', async (scope, allowed) => {
  const headers = await newKey({ scopes: [scope] });
  const answers = {
    send: await send(headers),
    status: await probe.call('GET', '/v1/batches/x', { headers }),
    apps: await probe.call('GET', '/v1/apps', { headers }),
    devices: await probe.call('GET', `/v1/devices/${token}?app=shop`, { headers }),
    letters: await probe.call('GET', '/v1/apps/shop/dead-letters', { headers }),
  };
  const good = Object.entries(answers).flatMap(([name, { status }]) => (status === 403 ? [] : [name]));
  expect(good.toSorted()).toEqual(allowed.toSorted());
});

test('every route of the API needs a scope', async () => {
  const { body } = await probe.call('GET', '/openapi.json');
  for (const [path, operations] of Object.entries<object>(body.paths)) {
    for (const method of Object.keys(operations)) {
      expect(
        scopeOf(method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1')),
        `${method} ${path}`,
      ).toBeDefined();
    }
  }
});

test('a key that is revoked is of no use soon after, without a restart', async () => {
  const { name, ...headers } = await newKey({ scopes: ['send'] });
  expect((await send(headers)).status).toBe(202);
  expect(await probe.database.store.apiKeys.revoke(name)).toBe(true);
  expect(await probe.database.store.apiKeys.revoke(name)).toBe(false);
  await expect.poll(async () => (await send(headers)).status).toBe(401);
});

test('only hashes are kept', async () => {
  const { authorization } = await newKey({ scopes: ['send'] });
  const { rows } = await probe.database.store.database.query('select * from api_keys');
  const copy = await probe.redis.get(`${probe.prefix}:api-keys`);
  const secret = authorization.slice(-43);
  expect(JSON.stringify(rows) + copy + probe.log.join('')).not.toContain(secret);
  await expect(
    probe.database.store.apiKeys.create({ name: 'key-1', apps: null, scopes: [] }),
  ).rejects.toMatchObject({
    code: 'name-taken',
  });
});

test('a key that asks too often is told when to come again', async () => {
  const headers = await newKey({ scopes: ['admin'], ratePerSecond: 20 });
  // What was asked before is forgotten by then: to ask as fast as the rate would leave it where it is.
  const remaining = async () => (await send(headers)).headers['ratelimit-remaining'];
  await expect.poll(remaining, { interval: 250, timeout: 10_000 }).toBe('19');
  const answers = await Promise.all(Array.from({ length: 60 }, () => send(headers)));
  const taken = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429);
  expect(taken.length + refused.length).toBe(60);
  expect(taken.length).toBeGreaterThanOrEqual(19);
  expect(refused.length).toBeGreaterThan(0);
  expect(taken[0]!.headers['ratelimit-limit']).toBe('20');
  expect(refused.at(-1)).toMatchObject({
    body: { code: 'rate-limited' },
    headers: { 'ratelimit-limit': '20', 'ratelimit-remaining': '0', 'retry-after': '1' },
  });
  // Another key has its own.
  const other = await newKey({ scopes: ['send'] });
  expect((await send(other)).status).toBe(202);
});

test('a producer that starts while Postgres is away takes the keys that Redis has a copy of', async () => {
  const headers = await newKey({ scopes: ['send'] });
  await expect.poll(() => probe.redis.get(`${probe.prefix}:api-keys`)).toContain('send');
  const blind = await openProducer({
    keys: { ratePerSecond: 0 },
    databaseUrl: 'postgres://127.0.0.1:1/none',
    prefix: probe.prefix,
  });
  try {
    await expect
      .poll(
        async () =>
          (
            await blind.call('POST', '/v1/notifications', {
              headers,
              body: { app: 'shop', token, alert: 'x' },
            })
          ).status,
      )
      .toBe(202);
  } finally {
    await blind.close();
  }
});

test('where others can reach the API, that keys are off has to be said', () => {
  expect(readProducerEnvironment({}, '127.0.0.1').auth).toBe('off');
  expect(() => readProducerEnvironment({}, '0.0.0.0')).toThrow(/PUSHFLEET_AUTH: must be set/);
  expect(readProducerEnvironment({ PUSHFLEET_AUTH: 'off' }, '0.0.0.0').auth).toBe('off');
  expect(readProducerEnvironment({ PUSHFLEET_AUTH: 'keys' }, '::').auth).toBe('keys');
  expect(() =>
    readProducerEnvironment({ PUSHFLEET_AUTH: 'yes', PUSHFLEET_RATE_LIMIT: 'many' }, 'localhost'),
  ).toThrow(/PUSHFLEET_AUTH.*\n.*PUSHFLEET_RATE_LIMIT/s);
});

test('a rate is exact to the request, and lets a second of it come at once', () => {
  const limiter = new RateLimiter();
  const taken = (from: number, count: number, stepMs: number) =>
    Array.from({ length: count }, (_, at) => limiter.take('a', 10, from + at * stepMs).isAllowed).filter(
      Boolean,
    ).length;
  expect(taken(0, 30, 0)).toBe(10);
  expect(limiter.take('b', 10, 0)).toEqual({ isAllowed: true, limit: 10, remaining: 9, resetSeconds: 1 });
  expect(taken(1_000, 1_000, 10)).toBe(109);
  expect(taken(120_000, 30, 0)).toBe(10);
});
