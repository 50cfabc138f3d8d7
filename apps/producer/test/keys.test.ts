import { setTimeout as delay } from 'node:timers/promises';
import { generateTokens } from '@pushfleet/testkit';
import type { NewApiKey } from '@pushfleet/token-store';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
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

test('a key that is revoked is of no use soon after, without a restart', async () => {
  const { name, ...headers } = await newKey({ scopes: ['send'] });
  expect((await send(headers)).status).toBe(202);
  expect(await probe.database.store.apiKeys.revoke(name)).toBe(true);
  expect(await probe.database.store.apiKeys.revoke(name)).toBe(false);
  await expect.poll(async () => (await send(headers)).status).toBe(401);
});

test('event streams and uploads end soon after their key is revoked or has expired', async () => {
  const base = await probe.server.listen({ port: 0, host: '127.0.0.1' });
  const body = {
    app: 'shop',
    alert: 'x',
    audience: { all: true },
    sendAt: Math.floor(Date.now() / 1_000) + 900,
  };
  const admin = await newKey({ scopes: ['admin'] });
  const { broadcastId } = (await probe.call('POST', '/v1/broadcasts', { headers: admin, body })).body;
  const revoked = await newKey({ scopes: ['admin'] });
  const expiring = await newKey({ scopes: ['admin'], expiresAt: new Date(Date.now() + 3_000) });
  const follow = async ({ authorization }: { authorization: string }) => {
    const answer = await fetch(`${base}/v1/broadcasts/${broadcastId}/events`, { headers: { authorization } });
    expect(answer.status).toBe(200);
    return answer.text();
  };
  // It comes a line a time, for as long as it is read.
  const upload = async ({ authorization }: { authorization: string }) => {
    let rows = 0;
    const lines = new ReadableStream<string>({
      async pull(controller) {
        await delay(50);
        rows += 1;
        controller.enqueue(`user-${rows}\n`);
      },
    });
    const headers = { authorization, 'content-type': 'text/plain' };
    const answer = await fetch(`${base}/v1/uploads?app=shop`, {
      ...{ method: 'POST', headers, body: lines.pipeThrough(new TextEncoderStream()) },
      ...{ duplex: 'half' },
    });
    return answer.status;
  };
  const streams = Promise.all([revoked, expiring].map(follow));
  const uploads = Promise.allSettled([revoked, expiring].map(upload));
  await delay(200);
  await probe.database.store.apiKeys.revoke(revoked.name);
  for (const text of await streams) expect(text).toContain('event: progress');
  // Or the connection has ended before the answer is read.
  for (const ended of await uploads) expect(ended.status === 'rejected' || ended.value === 401).toBe(true);
  const audited = async () =>
    (await probe.call('GET', '/v1/audit?action=upload.create', { headers: admin })).body.entries;
  const refused = { result: 'failed', after: { error: 'unauthorized' } };
  await expect.poll(audited).toMatchObject([refused, refused]);
}, 60_000);

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

/** A producer that has never seen Postgres, beside the one above. */
async function openBlind(databaseUrl = 'postgres://127.0.0.1:1/none'): Promise<ProducerProbe> {
  const blind = await openProducer({ keys: { ratePerSecond: 0 }, databaseUrl, prefix: probe.prefix });
  onTestFinished(() => blind.close());
  return blind;
}

const sendAt = async ({ call }: ProducerProbe, headers: Record<string, string>) => {
  const { status, body } = await call('POST', '/v1/notifications', {
    headers,
    body: { app: 'shop', token, alert: 'x' },
  });
  return [status, body.code];
};

test.each<[string, string]>([
  ['nothing that JSON has', 'not JSON'],
  ['no list', '{"keys":[]}'],
  ['a list of other things', '[1,null,{"id":"x"},[]]'],
  [
    'a hash of another length',
    '[{"id":"x","hash":"AAAA","apps":null,"scopes":["send"],"ratePerSecond":null}]',
  ],
])('a copy of the keys that is %s stops no producer, which heals when Postgres is back', async (_, copy) => {
  const headers = await newKey({ scopes: ['send'] });
  const other = await openProducer({
    keys: { ratePerSecond: 0 },
    databaseUrl: 'postgres://127.0.0.1:1/none',
  });
  onTestFinished(() => other.close());
  await probe.redis.set(`${other.prefix}:api-keys`, copy);
  const blind = await openProducer({
    keys: { ratePerSecond: 0 },
    databaseUrl: 'postgres://127.0.0.1:1/none',
    prefix: other.prefix,
  });
  onTestFinished(() => blind.close());
  const answer = await blind.call('POST', '/v1/notifications', { headers, body: {} });
  expect(answer).toMatchObject({
    status: 503,
    body: { code: 'keys-unavailable' },
    headers: { 'retry-after': '1' },
  });
  await probe.redis.set(`${other.prefix}:api-keys`, (await probe.redis.get(`${probe.prefix}:api-keys`))!);
  await expect.poll(() => sendAt(blind, headers)).toEqual([202, undefined]);
});

test('scopes and fields of a newer version are good for nothing, and kept', async () => {
  const { authorization } = await newKey({ scopes: ['send'] });
  const key = { authorization };
  await probe.database.store.database.query(
    `update api_keys set scopes = scopes || '{of-the-future}' where id = $1`,
    [authorization.slice(10, 26)],
  );
  const copyKey = `${probe.prefix}:api-keys`;
  await expect.poll(() => probe.redis.get(copyKey)).toContain('of-the-future');
  expect(await sendAt(probe, key)).toEqual([202, undefined]);
  const copy = JSON.parse((await probe.redis.get(copyKey))!) as object[];
  const newer = await openBlind();
  await probe.redis.set(`${newer.prefix}:api-keys`, JSON.stringify(copy.map((one) => ({ ...one, x: [1] }))));
  await expect.poll(() => sendAt(newer, key)).toEqual([202, undefined]);
  expect((await newer.call('GET', '/v1/apps', { headers: key })).status).toBe(403);
});

test('a copy from before the scopes were split is good for what it was good for', async () => {
  const { authorization } = await newKey({ scopes: ['send'] });
  const id = authorization.slice(10, 26);
  const { hash } = (await probe.database.store.apiKeys.find(id))!;
  const old = { id, hash: hash.toString('base64'), apps: null, scopes: ['send'], ratePerSecond: null };
  const prefix = `${probe.prefix}-old`;
  await probe.redis.set(`${prefix}:api-keys`, JSON.stringify([old]));
  const blind = await openProducer({
    keys: { ratePerSecond: 0 },
    databaseUrl: 'postgres://127.0.0.1:1/none',
    prefix,
  });
  onTestFinished(() => blind.close());
  const cancelled = () => blind.call('DELETE', `/v1/batches/x`, { headers: { authorization } });
  await expect.poll(async () => (await cancelled()).status).toBe(400);
});

test('a key is of no use once it has expired, and both secrets are while it is being rotated', async () => {
  const { apiKeys } = probe.database.store;
  const { authorization, name } = await newKey({
    scopes: ['send'],
    expiresAt: new Date(Date.now() + 3_600_000),
  });
  const id = authorization.slice(10, 26);
  const previousUntil = new Date(Date.now() + 600_000);
  const { text } = (await apiKeys.rotate(id, { previousUntil }))!;
  const rotated = { authorization: `Bearer ${text}` };
  await expect.poll(() => sendAt(probe, rotated)).toEqual([202, undefined]);
  expect(await sendAt(probe, { authorization })).toEqual([202, undefined]);
  // One key, whichever secret: its rate and its last use are shared.
  await expect.poll(async () => (await apiKeys.find(name))!.lastUsedAt).toBeInstanceOf(Date);
  const { database } = probe.database.store;
  await database.query('update api_keys set previous_until = now() where id = $1', [id]);
  await expect.poll(() => sendAt(probe, { authorization })).toEqual([401, 'unauthorized']);
  expect(await sendAt(probe, rotated)).toEqual([202, undefined]);
  await database.query('update api_keys set expires_at = now() where id = $1', [id]);
  await expect.poll(() => sendAt(probe, rotated)).toEqual([401, 'unauthorized']);
});

test('a key that expires while Postgres is away is of no use from then on', async () => {
  const { authorization } = await newKey({ scopes: ['send'] });
  const copy = JSON.parse((await probe.redis.get(`${probe.prefix}:api-keys`))!) as { id: string }[];
  const prefix = `${probe.prefix}-expiring`;
  const expired = copy.map((key) => ({ ...key, expiresAtMs: Date.now() - 1 }));
  await probe.redis.set(`${prefix}:api-keys`, JSON.stringify(expired));
  const blind = await openProducer({
    keys: { ratePerSecond: 0 },
    databaseUrl: 'postgres://127.0.0.1:1/none',
    prefix,
  });
  onTestFinished(() => blind.close());
  await expect.poll(() => sendAt(blind, { authorization })).toEqual([401, 'unauthorized']);
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

test('a key that sends many in few requests is held by its rate of notifications', async () => {
  const limited = await openProducer({ keys: { ratePerSecond: 0, notificationsPerSecond: 10 } });
  onTestFinished(() => limited.close());
  const { text } = await limited.database.store.apiKeys.create({
    name: 'many',
    apps: null,
    scopes: ['send'],
  });
  const headers = { authorization: `Bearer ${text}` };
  await expect
    .poll(async () => (await limited.call('GET', '/v1/apps', { headers })).status, { timeout: 10_000 })
    .not.toBe(401);
  const notifications = Array.from({ length: 1_000 }, () => ({ token }));
  const body = { app: 'shop', defaults: { alert: 'x' }, notifications };
  const sendMany = () => limited.call('POST', '/v1/notifications', { headers, body });
  expect((await sendMany()).status).toBe(202);
  // A hundred seconds' worth has gone out at once.
  const refused = await sendMany();
  expect(refused).toMatchObject({ status: 429, body: { code: 'rate-limited' } });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(60);
  expect(await limited.enqueued('shop')).toBe(1_000);
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
  // What costs more than a second's worth is made up for, however long that takes.
  expect(limiter.take('c', 10, 0, 5_000)).toMatchObject({ isAllowed: true, remaining: 0, resetSeconds: 500 });
  expect(limiter.take('c', 10, 400_000)).toMatchObject({ isAllowed: false });
  expect(limiter.take('c', 10, 500_000)).toMatchObject({ isAllowed: true });
});
