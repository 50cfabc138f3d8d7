import { createPrivateKey, randomUUID } from 'node:crypto';
import { createRedisTokenStore, ProviderTokenSource, TokenCredential } from '@pushfleet/apns-credentials';
import { createProviderKey } from '@pushfleet/testkit/certificates';
import { Redis } from 'ioredis';
import { afterAll, expect, inject, test } from 'vitest';

const redis = new Redis(inject('redisUrl'));
afterAll(() => redis.disconnect());

const openStore = (prefix = `${inject('redisPrefix')}-${randomUUID()}`) => ({
  prefix,
  store: createRedisTokenStore(redis, prefix),
});

test('a token comes back with its age by the clock of Redis, and goes when it is too old', async () => {
  const { store, prefix } = openStore();
  expect(await store.get('a')).toBeUndefined();
  await store.set('a', { jwt: 'x.y z', ageMs: 60_000 }, 3_000_000);
  const stored = await store.get('a');
  expect(stored?.jwt).toBe('x.y z');
  expect(stored?.ageMs).toBeGreaterThanOrEqual(60_000);
  expect(stored?.ageMs).toBeLessThan(120_000);
  const livesMs = await redis.pttl(`${prefix}:{token.a}`);
  expect(livesMs).toBeGreaterThan(2_900_000 - 60_000);
  expect(livesMs).toBeLessThanOrEqual(3_000_000 - 60_000);
});

test('one that is too old already is not kept', async () => {
  const { store } = openStore();
  await store.set('a', { jwt: 'x', ageMs: 10 }, 10);
  expect(await store.get('a')).toBeUndefined();
});

test('the right to sign is given to one, until it lets go, and only its owner lets go', async () => {
  const { store, prefix } = openStore();
  const first = await store.lock('a', 10_000);
  expect(first).toBeDefined();
  expect(await store.lock('a', 10_000)).toBeUndefined();
  expect(await store.lock('b', 10_000)).toBeDefined();
  await first?.release();
  const second = await store.lock('a', 10_000);
  expect(second).toBeDefined();
  await first?.release();
  expect(await store.lock('a', 10_000)).toBeUndefined();
  expect(await redis.pttl(`${prefix}:{token.a}:lock`)).toBeGreaterThan(0);
});

test('a hold has one end, and the clock of Redis is told with tokens and locks', async () => {
  const { store } = openStore();
  const leftMs = await store.hold('a', 60_000);
  expect(leftMs).toBeGreaterThan(50_000);
  expect(await store.hold('a', 600_000)).toBeLessThanOrEqual(leftMs);
  expect(await store.hold('b', 600_000)).toBeGreaterThan(500_000);
  await store.set('a', { jwt: 'x', ageMs: 0 }, 60_000);
  const [seconds] = await redis.time();
  const nowMs = Number(seconds) * 1_000;
  for (const timed of [await store.get('a'), await store.lock('a', 1_000)]) {
    expect(Math.abs(timed!.storeNowMs! - nowMs)).toBeLessThan(10_000);
  }
});

test('a fleet signs once for all', async () => {
  const { prefix } = openStore();
  const { p8, keyId, teamId } = createProviderKey();
  const credential = new TokenCredential({
    key: createPrivateKey(p8),
    keyId,
    teamId,
    sha256Fingerprint: 'f'.repeat(64),
  });
  const sources = Array.from(
    { length: 8 },
    () =>
      new ProviderTokenSource({
        credential: { current: () => credential, onChange: () => () => undefined },
        store: createRedisTokenStore(redis, prefix),
        onProblem: (error) => {
          throw error;
        },
      }),
  );
  await Promise.all(sources.map(async (source) => source.refresh()));
  const tokens = new Set(sources.map((source) => source.current()));
  expect(tokens.size).toBe(1);
  expect(tokens.has(undefined)).toBe(false);
  for (const source of sources) source.close();
});
