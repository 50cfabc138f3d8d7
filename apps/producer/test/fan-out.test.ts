import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createPushQueue, type PushQueue } from '@pushfleet/push-queue';
import { createRandom, generateTokens } from '@pushfleet/testkit';
import type { Broadcast, Broadcasts } from '@pushfleet/token-store';
import type { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { FanOut } from '../src/broadcasts/fan-out.ts';
import { createStatusClient } from '../src/status-client.ts';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 2_000, seed: 19 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
  await probe.database.store.devices.registerMany(
    'shop',
    tokens.map((token) => ({ token: token as never })),
  );
});
afterAll(async () => probe.close());

class Crash extends Error {}

/** The steps at which a process may die: before a statement has reached Postgres, or after it has. */
function crashing(broadcasts: Broadcasts, random: () => number): Broadcasts {
  return new Proxy(broadcasts, {
    get(target, name: keyof Broadcasts) {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      if (!['intend', 'commit', 'readAudience'].includes(name)) return method;
      return async (...args: unknown[]) => {
        if (random() < 0.15) throw new Crash(`before ${name}`);
        const result = await method(...args);
        if (random() < 0.15) throw new Crash(`after ${name}`);
        return result;
      };
    },
  });
}

async function createBroadcast(): Promise<Broadcast> {
  const created = await probe.database.store.broadcasts.create({
    id: randomUUID(),
    app: 'shop',
    lane: 'bulk',
    delivery: { alert: 'Sale' },
    audience: {},
    // Beyond the reach of the producer's own runner.
    startAt: new Date(Date.now() + 86_400_000),
    spreadOverMs: null,
    keyed: undefined,
  });
  return created!.broadcast;
}

/** As a runner does, whatever `start_at` says. */
async function take(id: string, owner: string): Promise<Broadcast> {
  const { database } = probe.database.store;
  await database.query(
    `update broadcasts set lease_owner = $2, lease_until = now() + interval '1 minute' where id = $1`,
    [id, owner],
  );
  return (await probe.database.store.broadcasts.get(id))!;
}

test('a fan-out that dies at any step, again and again, reaches every device once', async () => {
  const { broadcasts, devices } = probe.database.store;
  const random = createRandom(23);
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
  onTestFinished(() => queue.close());
  for (let round = 0; round < 5; round++) {
    const { id } = await createBroadcast();
    let crashes = 0;
    for (let state = 'running', owner = 0; state === 'running'; owner++) {
      const lease = { owner: `owner-${owner}`, leaseMs: 60_000 };
      const broadcast = await take(id, lease.owner);
      const fanOut = new FanOut(
        broadcast,
        {
          broadcasts: crashing(broadcasts, random),
          queue,
          redis: { redis: probe.redis, prefix: probe.prefix },
          lease,
          logger: probe.logger,
          chunkRows: 150,
          maxWaitingJobs: 10_000,
          onDevices: () => undefined,
        },
        new AbortController().signal,
      );
      await fanOut.run().catch((error: unknown) => {
        if (!(error instanceof Crash)) throw error;
        crashes += 1;
      });
      // Devices come and go while nobody runs it.
      await devices.registerMany('shop', [
        { token: tokens[(owner * 37) % 2_000] as never, tags: [`${owner}`] },
      ]);
      state = (await broadcasts.get(id))!.state;
    }
    expect(crashes).toBeGreaterThan(3);
    const batches = new Set(await broadcasts.batchesOf(id));
    const jobs = (await probe.jobs('shop', 'bulk')).filter(({ batch }) => batches.has(batch));
    const sent = jobs.flatMap((job) => {
      const all = Buffer.from(job.tokens, 'base64').toString('hex');
      return Array.from({ length: job.count }, (_, place) => all.slice(place * 64, (place + 1) * 64));
    });
    expect(sent.toSorted()).toEqual(tokens.toSorted());
    // Nothing that was enqueued is unknown to it.
    expect((await probe.jobs('shop', 'bulk')).reduce((sum, { count }) => sum + count, 0)).toBe(
      2_000 * (round + 1),
    );
    expect((await broadcasts.get(id))!.enqueued).toBe(2_000);
  }
});

test('of two that run the same broadcast at once, the one that lost the lease stops, and every device is there once', async () => {
  const { broadcasts } = probe.database.store;
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
  onTestFinished(() => queue.close());
  const { id } = await createBroadcast();
  const run = async (owner: string) =>
    new FanOut(
      await take(id, owner),
      {
        broadcasts,
        queue,
        redis: { redis: probe.redis, prefix: probe.prefix },
        lease: { owner, leaseMs: 60_000 },
        logger: probe.logger,
        chunkRows: 100,
        maxWaitingJobs: 10_000,
        onDevices: () => undefined,
      },
      new AbortController().signal,
    ).run();
  const first = run('first');
  await expect.poll(async () => (await broadcasts.get(id))!.enqueued, { interval: 2 }).toBeGreaterThan(0);
  await Promise.all([first, run('second')]);
  expect(await broadcasts.get(id)).toMatchObject({ state: 'finished', enqueued: 2_000 });
  const batches = new Set(await broadcasts.batchesOf(id));
  const jobs = (await probe.jobs('shop', 'bulk')).filter(({ batch }) => batches.has(batch));
  expect(jobs.reduce((sum, { count }) => sum + count, 0)).toBe(2_000);
});

/** A fan-out over three chunks of some 700 devices. */
function fanOutOf(
  broadcast: Broadcast,
  queue: PushQueue,
  broadcasts: Broadcasts,
  owner: string,
  redis: Redis | Cluster = probe.redis,
): FanOut {
  return new FanOut(
    broadcast,
    {
      broadcasts,
      queue,
      redis: { redis, prefix: probe.prefix },
      lease: { owner, leaseMs: 60_000 },
      logger: probe.logger,
      chunkRows: 700,
      maxWaitingJobs: 100_000,
      onDevices: () => undefined,
    },
    new AbortController().signal,
  );
}

/** Batches in the queue that nobody has cancelled, of those that were enqueued after `before`. */
async function uncancelled(before: ReadonlySet<string>): Promise<string[]> {
  const batches = new Set((await probe.jobs('shop', 'bulk')).map(({ batch }) => batch));
  const fresh = [...batches].filter((batch) => !before.has(batch));
  expect(fresh).not.toEqual([]);
  const marks = await Promise.all(
    fresh.map((batch) => probe.redis.smembers(`${probe.prefix}:{shop}:cancelled:${batch}`)),
  );
  return fresh.filter((_, place) => marks[place]!.length === 0);
}

test.each<[when: string, dies: boolean]>([
  ['is written down later', false],
  ['is never written down', true],
])(
  'a broadcast cancelled beside a chunk that is enqueued and %s cancels that chunk too',
  async (_when, dies) => {
    const { broadcasts } = probe.database.store;
    const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
    onTestFinished(() => queue.close());
    const before = new Set((await probe.jobs('shop', 'bulk')).map(({ batch }) => batch));
    const { id } = await createBroadcast();
    const cancelBroadcast = async () =>
      expect(await probe.call('DELETE', `/v1/broadcasts/${id}`)).toMatchObject({ status: 202 });
    // The chunk is in the queue when this is called, and nobody else knows.
    const atCommit: Broadcasts['commit'] = async (...args) => {
      if (dies) throw new Crash('before commit');
      await cancelBroadcast();
      return broadcasts.commit(...args);
    };
    const fanOut = fanOutOf(await take(id, 'runner'), queue, { ...broadcasts, commit: atCommit }, 'runner');
    if (dies) {
      await expect(fanOut.run()).rejects.toThrow(Crash);
      await cancelBroadcast();
    } else {
      await fanOut.run();
    }
    expect((await broadcasts.get(id))!.state).toBe('cancelled');
    expect(await uncancelled(before)).toEqual([]);
  },
);

test.each([
  ['lives', false],
  ['dies', true],
])(
  'a broadcast cancelled right before a chunk is enqueued by one that then %s sends nothing',
  async (_, dies) => {
    const { broadcasts } = probe.database.store;
    const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
    onTestFinished(() => queue.close());
    const { id } = await createBroadcast();
    const jobs = async () => (await probe.jobs('shop', 'bulk')).length;
    const before = await jobs();
    const slow = new Proxy(queue, {
      get(target, name: keyof PushQueue) {
        if (name !== 'enqueueTokens') {
          const value = Reflect.get(target, name) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async (...args: Parameters<PushQueue['enqueueTokens']>) => {
          expect(await probe.call('DELETE', `/v1/broadcasts/${id}`)).toMatchObject({ status: 202 });
          const result = await target.enqueueTokens(...args);
          if (dies) throw new Crash('after enqueueing');
          return result;
        };
      },
    });
    const run = fanOutOf(await take(id, 'runner'), slow, broadcasts, 'runner').run();
    if (dies) await expect(run).rejects.toThrow(Crash);
    else await run;
    expect(await jobs()).toBe(before);
    expect(await broadcasts.get(id)).toMatchObject({ state: 'cancelled', enqueued: 0 });
  },
);

test('a connection to Redis that breaks under the look at the queue does not end a broadcast', async () => {
  const { broadcasts } = probe.database.store;
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: probe.prefix });
  const redis = createStatusClient(inject('redisUrl')) as Redis;
  onTestFinished(async () => {
    redis.disconnect();
    await queue.close();
  });
  await redis.ping().catch(() => once(redis, 'ready'));
  let looks = 0;
  const breaking = new Proxy(redis, {
    get(target, name) {
      if (name === 'llen') looks += 1;
      if (name === 'llen' && looks === 5) queueMicrotask(() => target.stream.destroy());
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const { id } = await createBroadcast();
  await fanOutOf(await take(id, 'runner'), queue, broadcasts, 'runner', breaking).run();
  expect(looks).toBeGreaterThan(5);
  expect(await broadcasts.get(id)).toMatchObject({ state: 'finished', enqueued: 2_000 });
});
