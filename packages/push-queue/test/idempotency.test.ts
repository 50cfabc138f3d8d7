import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createRandom, generateTokens, openFaultProxy, provideRedis, randomInt } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createPushQueue, type PushQueue, PushQueueError } from '../src/index.ts';
import { probeQueue } from './queue-probe.ts';

const [token = ''] = generateTokens({ count: 1 });
const tokens = generateTokens({ count: 2_300 });

test('the same call with the same key yields one push, and the second answer says so', async () => {
  const { queue, enqueued } = probeQueue();
  const call = { app: 'shop', token, alert: 'x', ttl: 60, idempotencyKey: 'order-7' };
  const first = await queue.enqueue(call);
  const second = await queue.enqueue({ idempotencyKey: 'order-7', ttl: 60, alert: 'x', token, app: 'shop' });
  expect(first.replayed).toBe(false);
  expect(second).toEqual({ ...first, replayed: true });
  expect(await enqueued('shop')).toBe(1);
});

test('another call with the same key is refused; in another app the key is free', async () => {
  const { queue, enqueued } = probeQueue();
  await queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'order-7' });
  const other = { app: 'shop', token, alert: 'y', idempotencyKey: 'order-7' };
  await expect(queue.enqueue(other)).rejects.toMatchObject({
    code: 'idempotency-conflict',
    field: 'idempotencyKey',
  });
  await expect(
    queue.enqueueBatch({
      app: 'shop',
      notifications: [{ token }],
      defaults: { alert: 'x' },
      idempotencyKey: 'order-7',
    }),
  ).rejects.toMatchObject({ code: 'idempotency-conflict' });
  await queue.enqueue({ ...other, app: 'news' });
  expect(await enqueued('shop')).toBe(1);
  expect(await enqueued('news')).toBe(1);
});

test('a key is forgotten after its window', async () => {
  const { queue, redis, prefix } = probeQueue({ idempotencyWindowMs: 5_000 });
  await queue.enqueue({ app: 'shop', token, alert: 'x', idempotencyKey: 'order-7' });
  const leftMs = await redis.pttl(`${prefix}:{shop}:idempotency:order-7`);
  expect(leftMs).toBeGreaterThan(3_000);
  expect(leftMs).toBeLessThanOrEqual(5_000);
});

test('a batch with a key is enqueued once, whole', async () => {
  const { queue, enqueued } = probeQueue();
  const call = {
    app: 'shop',
    lane: 'bulk' as const,
    notifications: tokens.map((each) => ({ token: each })),
    defaults: { alert: 'x' },
    idempotencyKey: 'campaign-1',
  };
  const first = await queue.enqueueBatch(call);
  expect(await queue.enqueueBatch(call)).toEqual({ ...first, replayed: true });
  expect(await enqueued('shop')).toBe(2_300);
});

test('the same key twice in one moment yields one push; the other call is a replay or refused', async () => {
  const { queue, enqueued } = probeQueue();
  const call = { app: 'shop', token, alert: 'x', idempotencyKey: 'order-7' };
  const results = await Promise.allSettled([
    queue.enqueue(call),
    queue.enqueue(call),
    queue.enqueue({ ...call, alert: 'y' }),
  ]);
  const flags = results.map((result) => (result.status === 'fulfilled' ? result.value.replayed : 'refused'));
  expect(flags.toSorted()).toEqual([false, 'refused', true].toSorted());
  expect(await enqueued('shop')).toBe(1);
});

test('two producers with the same keys at once enqueue each key once', async () => {
  const { queue, another, enqueued } = probeQueue();
  const other = another();
  const send = async (through: PushQueue, place: number): Promise<string> => {
    for (let turn = 0; turn < place % 40; turn++) await new Promise(setImmediate);
    const call = { app: 'shop', token, alert: `${place}`, idempotencyKey: `k${place}` };
    return (await through.enqueue(call)).notificationId;
  };
  const places = Array.from({ length: 800 }, (_, place) => place);
  const [mine, theirs] = await Promise.all([
    Promise.all(places.map((place) => send(queue, place))),
    Promise.all(places.toReversed().map((place) => send(other, place))),
  ]);
  expect(theirs.toReversed()).toEqual(mine);
  expect(await enqueued('shop')).toBe(800);
});

test('producers killed at any moment leave nothing half done: a retry of all keys yields one push each', async () => {
  const { queue, enqueued, prefix } = probeQueue();
  const random = createRandom(7);
  const places = Array.from({ length: 500 }, (_, place) => place);
  for (let round = 0; round < 8; round++) {
    const app = `shop-${round}`;
    await killAfterAnswers([inject('redisUrl'), prefix, app, token, '500'], 1 + randomInt(random, 400));
    expect(await enqueued(app)).toBeGreaterThan(0);
    await Promise.all(
      places.map((place) =>
        queue.enqueue({ app, token, alert: `number ${place}`, idempotencyKey: `k${place}` }),
      ),
    );
    expect(await enqueued(app)).toBe(500);
  }
  // Eight processes are started, one after another.
}, 180_000);

async function killAfterAnswers(args: readonly string[], answers: number): Promise<void> {
  const file = fileURLToPath(new URL('fixtures/enqueue-keyed.ts', import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  let seen = 0;
  child.stdout.on('data', (dots: Buffer) => {
    seen += dots.length;
    if (seen >= answers) child.kill('SIGKILL');
  });
  await exited;
}

test.each(['upstream', 'downstream'] as const)(
  'a connection cut after any number of bytes %s yields one push when the call is made again',
  async (direction) => {
    const { another, enqueued } = probeQueue({ writeTimeoutMs: 250 });
    const url = new URL(inject('redisUrl'));
    const direct = another({ writeTimeoutMs: 5_000 });
    const random = createRandom(3);
    // What is sent is some 30,000 bytes: scripts, three jobs, the record. What comes back is a few hundred.
    const limits = Array.from({ length: 24 }, (_, step) =>
      direction === 'upstream'
        ? 400 + step * 6_000 + randomInt(random, 6_000)
        : 150 + step * 25 + randomInt(random, 25),
    );
    let unanswered = 0;
    for (const [step, bytes] of limits.entries()) {
      const proxy = await openFaultProxy({ target: { port: Number(url.port || 6379) } });
      proxy.add(direction, { type: 'limit_data', bytes, how: step % 2 === 0 ? 'close' : 'reset' });
      const proxied = new URL(url);
      proxied.hostname = proxy.host;
      proxied.port = String(proxy.port);
      const cut = another({ redis: proxied.href });
      const call = {
        app: 'shop',
        notifications: tokens.map((each) => ({ token: each })),
        defaults: { alert: 'x' },
        idempotencyKey: `step-${step}`,
      };
      const first = await cut.enqueueBatch(call).catch((error: unknown) => error);
      if (first instanceof PushQueueError) unanswered += 1;
      const second = await direct.enqueueBatch(call);
      if (!(first instanceof Error)) expect(second).toEqual({ ...(first as object), replayed: true });
      expect(await enqueued('shop')).toBe(tokens.length * (step + 1));
      await cut.close();
      await proxy.close();
    }
    expect(unanswered).toBeGreaterThan(5);
  },
  // Two dozen connections, one after another, and most wait for their deadline.
  180_000,
);

test.each(['broadcast/0198f/0', 'replay:0198f-1', ' replay:x', 'order-7'])(
  "a caller's key %j and one of Pushfleet's own are never the same",
  async (key) => {
    const { queue, redis, prefix, enqueued } = probeQueue();
    const call = { app: 'shop', token, alert: 'x', idempotencyKey: key };
    if (key.startsWith(' ')) {
      await expect(queue.enqueue(call)).rejects.toMatchObject({ field: 'idempotencyKey' });
      return;
    }
    const first = await queue.enqueue(call);
    expect(await queue.enqueue(call)).toEqual({ ...first, replayed: true });
    const batch = { app: 'shop', notifications: [{ token, alert: 'x' }], idempotencyKey: key };
    await expect(queue.enqueueBatch(batch)).rejects.toMatchObject({
      code: 'idempotency-conflict',
      message: `the idempotency key ${key} was used for another call`,
    });
    expect(await queue.recall('shop', key, 'own', {}).catch(({ code }: PushQueueError) => code)).toBe(
      'idempotency-conflict',
    );
    const own = { fingerprint: 'own', isOwn: true };
    if (key === 'order-7') {
      await expect(queue.enqueueBatch(batch, own)).rejects.toThrow(TypeError);
      return;
    }
    expect(await queue.recall('shop', key, 'own', own)).toBeUndefined();
    expect(await queue.enqueueBatch(batch, own)).toMatchObject({ replayed: false });
    expect(await queue.enqueueBatch(batch, own)).toMatchObject({ replayed: true });
    expect(await enqueued('shop')).toBe(2);
    // Where it was in earlier versions, which may run beside this one.
    expect(await redis.exists(`${prefix}:{shop}:idempotency:${key}`)).toBe(1);
  },
);

test('a key is remembered when Redis crashes and comes back', async () => {
  const server = await provideRedis({ aof: true });
  onTestFinished(() => server.stop());
  const queue = createPushQueue({ redis: server.url, prefix: server.prefix, writeTimeoutMs: 10_000 });
  onTestFinished(() => queue.close());
  const call = { app: 'shop', token, alert: 'x', idempotencyKey: 'order-7' };
  const first = await queue.enqueue(call);
  await server.kill();
  await server.restart();
  expect(await queue.enqueue(call)).toEqual({ ...first, replayed: true });
});
