import { generateTokens, provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { openProducer, type ProbeOptions } from './producer-probe.ts';

const tokens = generateTokens({ count: 2_500, seed: 13 });

async function open(options: ProbeOptions) {
  const probe = await openProducer(options);
  onTestFinished(() => probe.close());
  const send = (body: object) => probe.call('POST', '/v1/notifications', { body: { app: 'shop', ...body } });
  const many = (count: number) => ({
    defaults: { alert: 'x' },
    notifications: tokens.slice(0, count).map((token) => ({ token })),
  });
  return { probe, send, many };
}

test('a send beyond the quota of its app is told which limit, how much is used and when to come again', async () => {
  const { probe, send, many } = await open({
    quota: { maxNotifications: 100, maxScheduledNotifications: 10 },
  });
  const sendAt = Math.floor(Date.now() / 1_000) + 3_600;
  expect((await send(many(95))).status).toBe(202);
  const refused = await send(many(6));
  expect(refused).toMatchObject({
    status: 429,
    body: { code: 'quota-exceeded', quota: { limit: 'maxNotifications', max: 100, used: 95, asked: 6 } },
  });
  expect(refused.headers['retry-after']).toBe('5');
  expect((await send({ ...many(10), sendAt })).status).toBe(202);
  const later = await send({ token: tokens[0], alert: 'x', sendAt });
  expect(later.body.quota).toEqual({ limit: 'maxScheduledNotifications', max: 10, used: 10, asked: 1 });
  expect(later.headers['retry-after']).toBe('60');
  const never = await send(many(101));
  expect(never).toMatchObject({ status: 429, body: { code: 'quota-exceeded' } });
  expect(never.headers).not.toHaveProperty('retry-after');
  expect(await probe.enqueued('shop')).toBe(105);
  expect((await probe.call('GET', '/v1/apps/shop')).body.quota).toMatchObject({
    queued: { notifications: { used: 95, limit: 100 }, bytes: { used: expect.any(Number) } },
    scheduled: { notifications: { used: 10, limit: 10 } },
  });
  expect(await probe.register.metrics()).toContain(
    'pushfleet_enqueue_refused_total{code="quota-exceeded"} 3',
  );
  // Another app has its own.
  expect(
    (await probe.call('POST', '/v1/notifications', { body: { app: 'news', ...many(100) } })).status,
  ).toBe(202);
});

test('a send to a user counts the devices that it goes to', async () => {
  const { probe, send } = await open({ quota: { maxNotifications: 2 } });
  for (const token of tokens.slice(0, 3)) {
    await probe.call('PUT', `/v1/devices/${token}`, { body: { app: 'shop', userId: 'anna' } });
  }
  expect(await send({ userId: 'anna', alert: 'x' })).toMatchObject({
    status: 429,
    body: { quota: { max: 2, used: 0, asked: 3 } },
  });
});

test('a broadcast whose chunk meets the quota waits, and goes on when there is room', async () => {
  const { probe, send, many } = await open({ quota: { maxNotifications: 600 } });
  const lines = tokens.map((token) => JSON.stringify({ token }));
  await probe.call('POST', '/v1/devices/import?app=shop', {
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  const { body } = await probe.call('POST', '/v1/broadcasts', {
    body: { app: 'shop', audience: { all: true }, alert: 'Sale' },
  });
  const get = async () => (await probe.call('GET', `/v1/broadcasts/${body.broadcastId}`)).body;
  const seen = new Set<string>();
  const hold = `${probe.prefix}:{shop}:held`;
  // Chunks are not larger than the quota; what a worker would do after each, the test does.
  await expect
    .poll(
      async () => {
        for (const job of await probe.jobs('shop', 'bulk')) seen.add(`${job.batch}-${job.index}`);
        expect(Number(await probe.redis.hget(hold, 'queued-notifications'))).toBeLessThanOrEqual(600);
        if (seen.size > 0) expect((await get()).state).not.toBe('failed');
        if (Number(await probe.redis.hget(hold, 'queued-notifications')) > 0) {
          expect((await send(many(600))).status).toBe(429);
          await probe.redis.hset(hold, 'queued-notifications', 0);
        }
        return (await get()).fanOutProgress;
      },
      { timeout: 25_000 },
    )
    .toBe(1);
  expect((await get()).enqueued).toBe(2_500);
  const sent = (await probe.jobs('shop', 'bulk')).flatMap(({ tokens: base64 }) => {
    const hex = Buffer.from(base64, 'base64').toString('hex');
    return Array.from({ length: hex.length / 64 }, (_, place) => hex.slice(place * 64, (place + 1) * 64));
  });
  expect(sent.toSorted()).toEqual(tokens.toSorted());
});

test('an app that schedules as much as it is let leaves a small Redis to the others', {
  timeout: 60_000,
}, async () => {
  const server = await provideRedis({ own: true });
  const redis = new Redis(server.url);
  onTestFinished(async () => {
    redis.disconnect();
    await server.stop();
  });
  await redis.config('SET', 'maxmemory', '24mb');
  const { probe, send, many } = await open({ redisUrl: server.url });
  const usedShare = async () => {
    const info = await redis.info('memory');
    return Number(/^used_memory:(\d+)/m.exec(info)![1]) / (24 * 1024 ** 2);
  };
  const sendAt = Math.floor(Date.now() / 1_000) + 29 * 86_400;
  const fill = async (more: object) => {
    for (let sent = 0; sent < 2_000; sent++) {
      const { status, body } = await send({ ...many(2_500), ...more });
      if (status !== 202) return body;
    }
  };
  expect(await fill({ sendAt })).toMatchObject({ quota: { limit: 'maxScheduledBytes' } });
  expect(await usedShare()).toBeLessThan(0.5);
  expect(await fill({})).toMatchObject({ quota: { limit: 'maxBytes' } });
  // Both together are below the share at which nobody is let in any more.
  expect(await usedShare()).toBeLessThan(0.9);
  const other = { app: 'news', token: tokens[0], alert: 'x' };
  expect((await probe.call('POST', '/v1/notifications', { body: other })).status).toBe(202);
});
