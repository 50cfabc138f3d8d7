import { generateTokens, openFaultProxy } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createPushQueue } from '../src/index.ts';
import { probeQueue } from './queue-probe.ts';

const [token = ''] = generateTokens({ count: 1 });

/** A push queue whose connections go through a fault proxy. */
async function probeThroughProxy(writeTimeoutMs: number) {
  const url = new URL(inject('redisUrl'));
  const proxy = await openFaultProxy({ target: { port: Number(url.port || 6379) } });
  onTestFinished(() => proxy.close());
  url.hostname = proxy.host;
  url.port = String(proxy.port);
  return { proxy, ...probeQueue({ redis: url.href, writeTimeoutMs }) };
}

test.each([false, true])(
  'a Redis that stays silent fails the call in time (with a key: %s)',
  async (keyed) => {
    const { queue, proxy, enqueued } = await probeThroughProxy(500);
    const key = (name: string) => (keyed ? { idempotencyKey: name } : {});
    await queue.enqueue({ app: 'shop', token, alert: 'x', ...key('a') });
    const mend = proxy.add('upstream', { type: 'timeout', timeoutMs: 0 });
    const startedMs = performance.now();
    await expect(queue.enqueue({ app: 'shop', token, alert: 'x', ...key('b') })).rejects.toMatchObject({
      code: 'redis-timeout',
      maybeStored: true,
    });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    mend();
    await expect
      .poll(() => queue.enqueue({ app: 'shop', token, alert: 'x', ...key('c') }), { timeout: 10_000 })
      .toBeTruthy();
    expect(await enqueued('shop')).toBe(2);
  },
);

test('a Redis that is away fails the call in time, and nothing is stored when it comes back', async () => {
  const { queue, proxy, enqueued } = await probeThroughProxy(300);
  await proxy.disable();
  proxy.cut('reset');
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, () => queue.enqueue({ app: 'shop', token, alert: 'x' })),
  );
  for (const result of results) {
    expect(result).toMatchObject({
      status: 'rejected',
      reason: { code: 'redis-unavailable', maybeStored: false },
    });
  }
  await proxy.enable();
  await expect
    .poll(() => queue.enqueue({ app: 'shop', token, alert: 'x' }), { timeout: 10_000 })
    .toBeTruthy();
  expect(await enqueued('shop')).toBe(1);
});

test('a connection that breaks fails what was on its way, and the next call goes through', async () => {
  const { queue, proxy } = await probeThroughProxy(5_000);
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
  proxy.add('downstream', { type: 'latency', latencyMs: 200 });
  const onItsWay = queue.enqueue({ app: 'shop', token, alert: 'x' });
  const failed = expect(onItsWay).rejects.toMatchObject({ code: 'redis-unavailable', maybeStored: true });
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  proxy.clear();
  proxy.cut('reset');
  await failed;
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
});

test('scripts that Redis has forgotten are brought again', async () => {
  const { queue, redis, enqueued } = probeQueue();
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
  await queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'a' });
  await redis.script('FLUSH');
  await Promise.all([
    queue.enqueue({ app: 'shop', token, alert: 'x' }),
    queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'b' }),
  ]);
  expect(await enqueued('shop')).toBe(4);
});

test('a Redis without memory refuses in plain words', async () => {
  const { queue, redis, enqueued } = probeQueue();
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
  const [, before = '0'] = (await redis.config('GET', 'maxmemory')) as string[];
  await redis.config('SET', 'maxmemory', '1');
  onTestFinished(async () => void (await redis.config('SET', 'maxmemory', before)));
  const keyed = { app: 'shop', token, alert: 'x', idempotencyKey: 'a' };
  await expect(queue.enqueue({ app: 'shop', token, alert: 'x' })).rejects.toMatchObject({
    code: 'redis-unavailable',
  });
  await expect(queue.enqueue(keyed)).rejects.toMatchObject({ code: 'redis-unavailable' });
  await redis.config('SET', 'maxmemory', before);
  expect((await queue.enqueue(keyed)).replayed).toBe(false);
  expect(await enqueued('shop')).toBe(2);
});

test('more than the backlog has room for is refused at once', async () => {
  const { queue, enqueued } = probeQueue({ maxBacklogBytes: 10_000 });
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => queue.enqueue({ app: 'shop', token, alert: 'x' })),
  );
  const taken = results.filter(({ status }) => status === 'fulfilled').length;
  expect(taken).toBeGreaterThan(10);
  expect(taken).toBeLessThan(40);
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'backpressure' });
  expect(await enqueued('shop')).toBe(taken);
  expect(queue.backlogBytes).toBe(0);
  await queue.enqueue({ app: 'shop', token, alert: 'x' });
});

test('a wrong password is told', async () => {
  const url = new URL(inject('redisUrl'));
  url.password = 'wrong';
  const queue = createPushQueue({ redis: url.href, writeTimeoutMs: 500 });
  onTestFinished(() => queue.close());
  await expect(queue.enqueue({ app: 'shop', token, alert: 'x' })).rejects.toMatchObject({
    code: 'redis-unavailable',
    message: expect.stringMatching(/WRONGPASS|AUTH|password/i),
  });
});
