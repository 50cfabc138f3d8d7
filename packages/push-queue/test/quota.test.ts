import { generateTokens } from '@pushfleet/testkit';
import fc from 'fast-check';
import { expect, inject, onTestFinished, test } from 'vitest';
import {
  heldKey,
  type Lane,
  parseRedisMemory,
  type QuotaRefusal,
  quotaLimits,
  redisMemoryBytes,
} from '../src/index.ts';
import { FleetFacts, needsRecount } from '../src/outcomes/index.ts';
import { readQuotaUse, replayDeadLetter } from '../src/status/index.ts';
import {
  DeadLetters,
  decodePushJob,
  LaneQueue,
  Settlement,
  type TakenJob,
  WorkerLink,
} from '../src/worker/index.ts';
import { probeQueue, type QueueProbe } from './queue-probe.ts';
import { counted, expectExact, forgetCounts, present } from './quota-probe.ts';

const tokens = generateTokens({ count: 2_500 });
const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;

function batchOf(count: number, more: object = {}) {
  return {
    app: 'shop',
    notifications: tokens.slice(0, count).map((token) => ({ token })),
    defaults: { alert: 'x' },
    ...more,
  };
}

async function openWorker(
  probe: QueueProbe,
): Promise<{ link: WorkerLink; laneOf: (lane: Lane) => LaneQueue }> {
  const options = {
    redis: inject('redisUrl'),
    prefix: probe.prefix,
    lockDurationMs: 60_000,
    stalledIntervalMs: 1_000,
  };
  const link = new WorkerLink(options);
  onTestFinished(() => link.close());
  await link.open(5_000);
  const queues = {
    transactional: new LaneQueue(link, 'worker', 'shop', 'transactional'),
    bulk: new LaneQueue(link, 'worker', 'shop', 'bulk'),
  };
  return { link, laneOf: (lane) => queues[lane] };
}

/** Ends a job: all accepted, or all dead. */
async function end(queue: LaneQueue, job: TakenJob, letters?: DeadLetters): Promise<void> {
  const settlement = new Settlement(decodePushJob(job.data, { app: queue.app, lane: queue.lane }));
  if (letters === undefined) {
    settlement.handOver(undefined);
    settlement.accept(0, settlement.job.count, 'proved');
  } else {
    settlement.endPlaces('dead', 'none', 1, () => true);
    await letters.keepDead(job, settlement, 1);
  }
  const firstIndex = Number(job.id.split('-').at(-1));
  await queue.report(job, settlement.report({ id: job.id, firstIndex }, 2));
}

function openFacts(probe: QueueProbe): FleetFacts {
  const facts = new FleetFacts({ redis: inject('redisUrl'), prefix: probe.prefix });
  onTestFinished(() => facts.close());
  return facts;
}

const refusals = [
  [
    'notifications',
    { maxNotifications: 1_200 },
    {},
    { limit: 'maxNotifications', max: 1_200, used: 1_000, asked: 201 },
  ],
  [
    'scheduled notifications',
    { maxScheduledNotifications: 1_200 },
    { sendAt: inAnHour() },
    { limit: 'maxScheduledNotifications', max: 1_200, used: 1_000, asked: 201 },
  ],
  ['bytes', { maxBytes: 50_000 }, {}, { limit: 'maxBytes', max: 50_000 }],
  [
    'scheduled bytes',
    { maxScheduledBytes: 50_000 },
    { sendAt: inAnHour() },
    { limit: 'maxScheduledBytes', max: 50_000 },
  ],
] as const satisfies readonly (readonly [string, object, object, Partial<QuotaRefusal>])[];

test.each(refusals)(
  'what is beyond the quota of %s is refused and leaves nothing',
  async (_name, quota, more, refusal) => {
    const probe = probeQueue({ quota });
    const { queue } = probe;
    await queue.enqueueBatch(batchOf(1_000, more));
    const before = await present(probe, 'shop');
    const tooMuch = batchOf(201, { ...more, idempotencyKey: 'again' });
    await expect(queue.enqueueBatch(tooMuch)).rejects.toMatchObject({
      code: 'quota-exceeded',
      maybeStored: false,
      quota: refusal,
    });
    expect(await present(probe, 'shop')).toEqual(before);
    expect((await probe.jobs('shop')).length).toBe(1);
    await expectExact(probe, 'shop');
    // Of the other class there is room, and the key was not used up.
    await queue.enqueueBatch(batchOf(1_500, 'sendAt' in more ? {} : { sendAt: inAnHour() }));
    await probe.another({ quota: {} }).enqueueBatch(tooMuch);
    await expectExact(probe, 'shop');
  },
);

test('each app, and each process, has its own quota', async () => {
  const apps = {
    shop: { transport: 'http2', queue: { maxNotifications: 10 } },
    news: { transport: 'http2' },
  } as const;
  const probe = probeQueue({ apps });
  await expect(probe.queue.enqueueBatch(batchOf(11))).rejects.toMatchObject({
    quota: { used: 0, asked: 11 },
  });
  await probe.queue.enqueueBatch({ ...batchOf(11), app: 'news' });
  const generous = probe.another({
    apps: { shop: { transport: 'http2', queue: { maxNotifications: 100 } } },
  });
  await generous.enqueueBatch(batchOf(90));
  // What one has let in counts at the other, which takes nothing until there is less than it allows.
  await expect(probe.queue.enqueueBatch(batchOf(1))).rejects.toMatchObject({ quota: { max: 10, used: 90 } });
  await generous.enqueueBatch(batchOf(10));
  await expectExact(probe, 'shop');
});

test.each(['without keys', 'with keys'])(
  'of single sends %s as many go in as there is room for, all at once',
  async (kind) => {
    const probe = probeQueue({ quota: { maxNotifications: 70 } });
    const other = probe.another();
    const keyOf = (place: number) => (kind === 'with keys' ? { idempotencyKey: `k${place}` } : {});
    const send = (place: number) =>
      (place % 2 === 0 ? probe.queue : other).enqueue({
        app: 'shop',
        token: tokens[place]!,
        alert: 'x',
        ...keyOf(place),
      });
    const sent = await Promise.allSettled(Array.from({ length: 200 }, (_, place) => send(place)));
    expect(sent.filter(({ status }) => status === 'fulfilled').length).toBe(70);
    for (const one of sent) {
      if (one.status === 'rejected')
        expect(one.reason).toMatchObject({ code: 'quota-exceeded', maybeStored: false });
    }
    expect((await present(probe, 'shop')).queued.notifications).toBe(70);
    await expectExact(probe, 'shop');
    if (kind !== 'with keys') return;
    const again = await Promise.allSettled(Array.from({ length: 200 }, (_, place) => send(place)));
    expect(again.map(({ status }) => status)).toEqual(sent.map(({ status }) => status));
    expect(again.every((one) => one.status === 'rejected' || one.value.replayed)).toBe(true);
  },
);

test('room comes back with the report of a push job, and with that alone', async () => {
  const probe = probeQueue({ quota: { maxNotifications: 100 } });
  const { laneOf } = await openWorker(probe);
  const queue = laneOf('transactional');
  await probe.queue.enqueueBatch(batchOf(100));
  const taken = await queue.take();
  if (taken.kind !== 'taken') throw new Error('there is no job');
  await expect(probe.queue.enqueueBatch(batchOf(1))).rejects.toMatchObject({ code: 'quota-exceeded' });
  await end(queue, taken.job);
  await end(queue, taken.job);
  await probe.queue.enqueueBatch(batchOf(100));
  await queue.finish(taken.job);
  await expectExact(probe, 'shop');
});

test('by default an app has a share of the memory that Redis may use', async () => {
  const MiB = 1024 ** 2;
  const limited = parseRedisMemory('maxmemory:100663296\r\ntotal_system_memory:8589934592\r\n');
  const silent = parseRedisMemory('maxmemory:0\r\n');
  const unlimited = parseRedisMemory('used_memory:5\nmaxmemory:0\ntotal_system_memory:1000\n');
  expect(redisMemoryBytes([limited])).toBe(96 * MiB);
  expect(redisMemoryBytes([silent])).toBeUndefined();
  expect(redisMemoryBytes([unlimited])).toBe(1_000);
  // Of a cluster the smallest node.
  expect(redisMemoryBytes([limited, silent, unlimited])).toBe(1_000);
  expect(quotaLimits({ maxBytes: 7 }, 100 * MiB)).toEqual({
    queued: { notifications: 20_000_000, bytes: 7 },
    scheduled: { notifications: 5_000_000, bytes: 20 * MiB },
  });
  const probe = probeQueue();
  await probe.queue.enqueueBatch(batchOf(3));
  const { used, limits } = await readQuotaUse(probe, 'shop', { maxNotifications: 5 });
  expect(used.queued.notifications).toBe(3);
  expect(limits.queued.notifications).toBe(5);
});

const losses = [
  ['an upgrade from a version that counts nothing', (probe: QueueProbe) => forgetCounts(probe, 'shop')],
  ['counts that are lost', (probe: QueueProbe) => forgetCounts(probe, 'shop', false)],
  [
    'a count below zero',
    async ({ redis, prefix }: QueueProbe) => {
      await redis.hset(heldKey(prefix, 'shop'), 'queued-bytes', -5);
    },
  ],
  [
    'a recount that was cut off',
    async ({ redis, prefix }: QueueProbe) => {
      const lost = { next: 'abc', 'next-until': 1, 'next-queued-bytes': 77, 'queued-notifications': 1 };
      await redis.hset(heldKey(prefix, 'shop'), lost);
    },
  ],
] as const;

test.each(losses)('%s: what is there is counted anew while sends and workers go on', async (_name, lose) => {
  const probe = probeQueue();
  const facts = openFacts(probe);
  const { laneOf } = await openWorker(probe);
  const queue = laneOf('transactional');
  for (let batch = 0; batch < 3; batch++) await probe.queue.enqueueBatch(batchOf(2_500));
  for (let each = 0; each < 450; each++)
    await probe.queue.enqueueBatch(batchOf(1, { lane: 'bulk', sendAt: inAnHour() }));
  const taken = await queue.take();
  if (taken.kind !== 'taken') throw new Error('there is no job');
  await lose(probe);
  expect(needsRecount((await facts.read(['shop']))[0]!.held)).toBe(true);

  const recount = facts.recount('shop');
  await Promise.all([end(queue, taken.job), probe.queue.enqueueBatch(batchOf(10)), recount]);
  expect(await recount).toBe('done');
  await expectExact(probe, 'shop');
  expect(needsRecount((await facts.read(['shop']))[0]!.held)).toBe(false);
});

test('of two recounts one goes on; what is gone for other reasons is told and not counted again', async () => {
  const probe = probeQueue();
  const facts = openFacts(probe);
  await probe.queue.enqueueBatch(batchOf(2_500));
  expect((await Promise.all([facts.recount('shop'), facts.recount('shop')])).toSorted()).toEqual([
    'busy',
    'done',
  ]);
  const base = `${probe.prefix}:{shop}:transactional:`;
  const [removed = ''] = await probe.redis.lrange(`${base}wait`, 0, 0);
  await probe.redis
    .multi()
    .lrem(`${base}wait`, 1, removed)
    .del(base + removed)
    .exec();
  expect(await facts.recount('shop')).toBe('done');
  const held = await counted(probe, 'shop');
  expect(held.sizes).toEqual(await present(probe, 'shop'));
  expect(held).toMatchObject({ apart: 500, wereApart: 500 });
  expect(needsRecount(held)).toBe(false);
});

test('jobs that are due in the same millisecond are all counted', async () => {
  const probe = probeQueue();
  const facts = openFacts(probe);
  const delayed = `${probe.prefix}:{shop}:transactional:delayed`;
  for (let each = 0; each < 450; each++) await probe.queue.enqueueBatch(batchOf(1, { sendAt: inAnHour() }));
  for (const id of await probe.redis.zrange(delayed, '0', '-1')) await probe.redis.zadd(delayed, 5, id);
  await forgetCounts(probe, 'shop');
  await facts.recount('shop');
  await expectExact(probe, 'shop');
});

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      count: fc.integer({ min: 1, max: 2_100 }),
      isLater: fc.boolean(),
      bulk: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('singles' as const),
      count: fc.integer({ min: 1, max: 30 }),
      isKeyed: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const), bulk: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('accept', 'kill', 'put back', 'delay'), which: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('replay', 'recount', 'repeat', 'forget') }) },
);

test('in any history what is counted is what is there', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const probe = probeQueue({
        quota: { maxNotifications: 4_000, maxBytes: 200_000, maxScheduledNotifications: 3_000 },
      });
      const { link, laneOf } = await openWorker(probe);
      const letters = new DeadLetters(link, 'shop');
      const facts = openFacts(probe);
      const held: { queue: LaneQueue; job: TakenJob }[] = [];
      const died: string[] = [];
      let ended: { queue: LaneQueue; job: TakenJob } | undefined;
      const orRefused = (call: Promise<unknown>) =>
        call.catch((error: unknown) => expect(error).toMatchObject({ code: 'quota-exceeded' }));
      for (const one of steps) {
        if (one.do === 'batch') {
          const more = {
            lane: one.bulk ? 'bulk' : 'transactional',
            ...(one.isLater ? { sendAt: inAnHour() } : {}),
          };
          await orRefused(probe.queue.enqueueBatch(batchOf(one.count, more)));
        } else if (one.do === 'singles') {
          const keyOf = (place: number) => (one.isKeyed ? { idempotencyKey: `k${place % 20}` } : {});
          const call = (place: number) => ({
            app: 'shop',
            token: tokens[place % 20]!,
            alert: 'x',
            ...keyOf(place),
          });
          await Promise.all(
            Array.from({ length: one.count }, (_, place) => orRefused(probe.queue.enqueue(call(place)))),
          );
        } else if (one.do === 'take') {
          const queue = laneOf(one.bulk ? 'bulk' : 'transactional');
          const taken = await queue.take();
          if (taken.kind === 'taken') held.push({ queue, job: taken.job });
        } else if ('which' in one) {
          const [at] = held.splice(one.which, 1);
          if (at === undefined) continue;
          if (one.do === 'put back') await at.queue.putBack(at.job);
          else if (one.do === 'delay') await at.queue.delay(at.job, 5);
          else {
            await end(at.queue, at.job, one.do === 'kill' ? letters : undefined);
            if (one.do === 'kill') died.push(at.job.id);
            ended = at;
            // A worker that dies here leaves it to another; it is counted no more either way.
            if (one.which > 2) await at.queue.finish(at.job);
          }
        } else if (one.do === 'replay') {
          const id = died.pop();
          if (id !== undefined) await orRefused(replayDeadLetter(probe, probe.queue, 'shop', id));
        } else if (one.do === 'repeat') {
          if (ended !== undefined) await end(ended.queue, ended.job);
        } else {
          if (one.do === 'forget') await forgetCounts(probe, 'shop');
          expect(await facts.recount('shop')).toBe('done');
        }
        await expectExact(probe, 'shop');
      }
    }),
    { numRuns: 12, endOnFailure: true },
  );
});
