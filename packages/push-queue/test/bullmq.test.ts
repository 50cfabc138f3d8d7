import { randomUUID } from 'node:crypto';
import { provideRedis } from '@pushfleet/testkit';
import { Queue, QueueKeys } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  dueAtMs,
  JobAdder,
  type JobQueue,
  JobTaker,
  limitEvents,
  type NewJob,
  scheduledDelayMs,
} from '../src/redis/bullmq.ts';
import { queueKeys } from '../src/redis/keys.ts';

// What Pushfleet relies on of BullMQ beside its documented interface, each by itself: to be run first with a new version.

let server: Awaited<ReturnType<typeof provideRedis>>;
let redis: Redis;
beforeAll(async () => {
  server = await provideRedis({ own: true });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const lockDurationMs = 10_000;

interface Bench {
  /** Of one queue. */
  readonly keys: ReturnType<typeof queueKeys>;
  readonly queue: { readonly prefix: string; readonly name: string };
  readonly client: Redis;
  readonly jobs: JobQueue;
  add(...jobs: readonly Partial<NewJob>[]): Promise<void>;
}

/** A queue of its own, and a connection to add with and one to take with. */
function createBench({ stalledIntervalMs = 1 } = {}): Bench {
  const prefix = `bullmq-${randomUUID()}`;
  const queue = { prefix: `${prefix}:{shop}`, name: 'bulk' };
  const [adding, client] = [new Redis(server.url), new Redis(server.url)];
  onTestFinished(() => {
    adding.disconnect();
    client.disconnect();
  });
  const adder = new JobAdder(adding);
  const jobs = new JobTaker(client, { lockDurationMs, stalledIntervalMs }).queue(queue);
  return {
    keys: queueKeys(prefix, 'shop', 'bulk'),
    queue,
    client,
    jobs,
    async add(...added) {
      const multi = adding.multi();
      const each = added.map((job): NewJob => ({ ...newJob, ...job }));
      await adder.add(multi, queue, each);
      const results = await multi.exec();
      expect(results!.map(([error]) => error)).toEqual(each.map(() => null));
    },
  };
}

const newJob: NewJob = {
  id: 'a-1',
  data: '{"v":1}',
  enqueuedAtMs: 1_700_000_000_000,
  delayMs: 0,
  telemetry: undefined,
};

async function take(jobs: JobQueue, token: string) {
  const taken = await jobs.take(token);
  if (taken.kind !== 'taken') throw new Error(`there is no job: ${taken.kind}`);
  return taken.job;
}

test('its keys are those that we use', () => {
  const { base, ...lists } = queueKeys('pushfleet', 'shop', 'bulk');
  const keys = new QueueKeys('pushfleet:{shop}').getKeys('bulk');
  expect(keys['']).toBe(base);
  expect(keys).toMatchObject(lists);
});

test('a job that was added in a transaction is there with it, as BullMQ itself reads it', async () => {
  const { queue, add, keys } = createBench();
  await add({ telemetry: '00-trace' });
  const bull = new Queue(queue.name, { connection: redis, prefix: queue.prefix, skipMetasUpdate: true });
  onTestFinished(() => bull.close());
  const [job] = await bull.getJobs(['waiting']);
  expect(job).toMatchObject({ id: 'a-1', name: 'push', data: { v: 1 }, timestamp: newJob.enqueuedAtMs });
  expect(job!.opts).toMatchObject({ removeOnComplete: true, jobId: 'a-1' });
  expect(await redis.hget(`${keys.base}a-1`, 'data')).toBe('{"v":1}');
});

test('of a transaction that is dropped no job is there', async () => {
  const { queue, keys } = createBench();
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  const adder = new JobAdder(client);
  await client.watch(keys.meta);
  const multi = client.multi();
  limitEvents(multi, keys.meta);
  await adder.add(multi, queue, [newJob]);
  await redis.hset(keys.meta, 'other', '1');
  expect(await multi.exec()).toBeNull();
  expect(await redis.keys(`${keys.base}*`)).toEqual([keys.meta]);
});

test('between two transactions nothing but microtasks runs', async () => {
  const { queue } = createBench();
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  const adder = new JobAdder(client);
  const multi = client.multi();
  let turns = 0;
  setImmediate(() => turns++);
  process.nextTick(() => turns++);
  await Promise.resolve();
  const before = turns;
  await adder.add(multi, queue, [newJob, { ...newJob, id: 'a-2', delayMs: 1_000 }]);
  expect(turns).toBe(before);
  multi.discard();
});

test('a transaction carries the scripts that add, and no other of BullMQ', () => {
  const client = new Redis(server.url, { lazyConnect: true });
  new JobAdder(client);
  const { scriptsSet } = client as unknown as { scriptsSet: object };
  expect(Object.keys(scriptsSet).map((name) => name.split(':')[0])).toEqual(
    expect.arrayContaining(['addStandardJob', 'addDelayedJob']),
  );
  expect(Object.keys(scriptsSet)).toHaveLength(2);
});

test('the events of a queue are limited', async () => {
  const { keys, add, jobs } = createBench();
  const multi = redis.multi();
  limitEvents(multi, keys.meta);
  await multi.exec();
  for (let at = 0; at < 400; at++) {
    await add({ id: `a-${at}` });
    await take(jobs, 'token');
    await jobs.finish(`a-${at}`, 'token');
  }
  // Streams are trimmed by whole nodes, of 100 entries by default.
  expect(await redis.xlen(`${keys.base}events`)).toBeLessThanOrEqual(200);
});

test('a job is taken with what was written beside it', async () => {
  const { jobs, add, keys } = createBench();
  await add({ telemetry: '00-trace' });
  await redis.hset(`${keys.base}a-1`, 'progress', '{"v":1}');
  expect(await take(jobs, 'one')).toEqual({
    id: 'a-1',
    name: 'push',
    data: '{"v":1}',
    progress: { v: 1 },
    availableAtMs: newJob.enqueuedAtMs,
    timesTaken: 1,
    telemetry: '00-trace',
  });
  expect(await redis.get(`${keys.base}a-1:lock`)).toBe('one');
  expect(await redis.pttl(`${keys.base}a-1:lock`)).toBeGreaterThan(lockDurationMs / 2);
  expect(await redis.lrange(keys.active, 0, -1)).toEqual(['a-1']);
  expect(await jobs.take('two')).toEqual({ kind: 'empty', nextAtMs: undefined });
});

test('the first that was added is the first that is taken', async () => {
  const { jobs, add } = createBench();
  await add({ id: 'a-1' }, { id: 'a-2' });
  await add({ id: 'a-3' });
  const taken = [await take(jobs, '1'), await take(jobs, '2'), await take(jobs, '3')];
  expect(taken.map(({ id }) => id)).toEqual(['a-1', 'a-2', 'a-3']);
});

test('a job whose fields BullMQ cannot read is taken nevertheless', async () => {
  const { jobs, add, keys } = createBench();
  await add({});
  await redis.hset(`${keys.base}a-1`, 'opts', '{broken');
  expect(await jobs.take('one')).toEqual({ kind: 'unreadable' });
  expect(await redis.get(`${keys.base}a-1:lock`)).toBe('one');
  expect(await redis.lrange(keys.active, 0, -1)).toEqual(['a-1']);
});

test('a delayed job tells when it is due, before and beside a take, and in its options', async () => {
  const { jobs, add, keys } = createBench();
  const enqueuedAtMs = Date.now();
  await add({ enqueuedAtMs, delayMs: 3_600_000 });
  const dueMs = enqueuedAtMs + 3_600_000;
  expect(await jobs.take('one')).toEqual({ kind: 'empty', nextAtMs: dueMs });
  const [, score] = await redis.zrange(keys.delayed, '0', '0', 'WITHSCORES');
  expect(dueAtMs(score!)).toBe(dueMs);
  expect(scheduledDelayMs(await redis.hget(`${keys.base}a-1`, 'opts'))).toBe(3_600_000);
});

test('a delayed job that is due is taken, and was available from then on', async () => {
  const { jobs, add } = createBench();
  const enqueuedAtMs = Date.now() - 2_000;
  await add({ enqueuedAtMs, delayMs: 1_000 });
  expect((await take(jobs, 'one')).availableAtMs).toBe(enqueuedAtMs + 1_000);
});

test('options that say nothing, or cannot be read, mean at once', () => {
  for (const opts of [undefined, null, '', '{}', '{"delay":0}', '{"delay":"1"}', '{"delay":-1}', '[']) {
    expect(scheduledDelayMs(opts)).toBe(0);
  }
});

test('of a job that has ended nothing stays', async () => {
  const { jobs, add, keys } = createBench();
  await add({});
  await take(jobs, 'one');
  expect(await jobs.finish('a-1', 'two')).toBe('lost');
  expect(await jobs.finish('a-1', 'one')).toBe('done');
  expect(await redis.keys(`${keys.base}a-1*`)).toEqual([]);
  expect(await redis.llen(keys.active)).toBe(0);
  // An earlier try, whose answer was lost, has done it.
  expect(await jobs.finish('a-1', 'one')).toBe('done');
});

test('a job that was put off is due then, and was taken once more', async () => {
  const { jobs, add, keys } = createBench();
  await add({});
  await take(jobs, 'one');
  expect(await jobs.delay('a-1', 'two', 60_000)).toBe('lost');
  const beforeMs = Date.now();
  expect(await jobs.delay('a-1', 'one', 60_000)).toBe('done');
  const [, score] = await redis.zrange(keys.delayed, '0', '0', 'WITHSCORES');
  expect(dueAtMs(score!)).toBeGreaterThanOrEqual(beforeMs + 60_000);
  expect(dueAtMs(score!)).toBeLessThanOrEqual(Date.now() + 60_000);
  // What it was enqueued with stays in its options.
  expect(scheduledDelayMs(await redis.hget(`${keys.base}a-1`, 'opts'))).toBe(0);
  expect(await jobs.delay('a-1', 'one', 60_000)).toBe('lost');
});

test('a job that is put off by nothing can be taken at once', async () => {
  const { jobs, add } = createBench();
  await add({});
  await take(jobs, 'one');
  expect(await jobs.delay('a-1', 'one', 0)).toBe('done');
  await expect.poll(async () => (await jobs.take('two')).kind, { timeout: 10_000 }).toBe('taken');
});

test('a job that was given back is the next that is taken', async () => {
  const { jobs, add, keys } = createBench();
  await add({ id: 'a-1' }, { id: 'a-2' });
  await take(jobs, 'one');
  expect(await jobs.putBack('a-1', 'two')).toBe('lost');
  expect(await jobs.putBack('a-1', 'one')).toBe('done');
  expect(await redis.exists(`${keys.base}a-1:lock`)).toBe(0);
  const again = await take(jobs, 'two');
  expect([again.id, again.timesTaken]).toEqual(['a-1', 2]);
  expect(await jobs.putBack('a-3', 'one')).toBe('done');
});

test('a job whose lock ran out waits again, and is never failed for it', async () => {
  const { jobs, add, keys } = createBench();
  await add({});
  for (let death = 0; death < 3; death++) {
    await take(jobs, `worker-${death}`);
    await redis.del(`${keys.base}a-1:lock`);
    // The first look marks what is active, the next one after the interval moves what has no lock.
    await expect.poll(() => jobs.moveStalled(), { timeout: 10_000 }).toBe(1);
    expect(await redis.lrange(keys.wait, 0, -1)).toEqual(['a-1']);
  }
  expect(await redis.zcard(`${keys.base}failed`)).toBe(0);
});

test('the fleet looks for dead workers once in an interval', async () => {
  const { jobs, add, keys } = createBench({ stalledIntervalMs: 600_000 });
  await add({});
  await take(jobs, 'one');
  await redis.del(`${keys.base}a-1:lock`);
  expect(await jobs.moveStalled()).toBe(0);
  expect(await jobs.moveStalled()).toBe(0);
});

test('scripts that were forgotten are sent again', async () => {
  const { jobs, add } = createBench();
  await add({ id: 'a-1' });
  await take(jobs, 'one');
  await redis.script('FLUSH');
  expect(await jobs.finish('a-1', 'one')).toBe('done');
});

test('on a Redis that is full jobs are taken, put off, given back and ended, and none is added', async () => {
  const { jobs, add, keys, queue, client } = createBench();
  await add({ id: 'a-1' }, { id: 'a-2' }, { id: 'a-3' });
  const { used_memory: used } = Object.fromEntries(
    (await redis.info('memory')).split('\r\n').map((line) => line.split(':')),
  ) as Record<string, string>;
  await redis.config('SET', 'maxmemory', String(Math.floor(Number(used) / 2)));
  onTestFinished(async () => {
    await redis.config('SET', 'maxmemory', '0');
  });
  for (const token of ['1', '2', '3']) await take(jobs, token);
  expect(await jobs.delay('a-1', '1', 60_000)).toBe('done');
  expect(await jobs.putBack('a-2', '2')).toBe('done');
  expect(await jobs.finish('a-3', '3')).toBe('done');
  await jobs.moveStalled();
  const multi = client.multi();
  await new JobAdder(client).add(multi, queue, [{ ...newJob, id: 'a-4' }]);
  await expect(multi.exec()).rejects.toThrow(/OOM|EXECABORT/);
  expect(await redis.exists(`${keys.base}a-4`)).toBe(0);
});
