import { generateTokens } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import {
  type BatchId,
  cancel,
  deadLetterSchema,
  type OutcomeReport,
  outcomeReportSchema,
  outcomesKey,
  pauseApp,
  totalsKey,
} from '../src/index.ts';
import { OutcomeReader } from '../src/outcomes/index.ts';
import { locateBatch, readQueuedJobs } from '../src/status/index.ts';
import {
  type AppSight,
  DeadLetters,
  Doorbell,
  decodePushJob,
  LaneQueue,
  LockKeeper,
  parseTraceparents,
  QueueWatch,
  Settlement,
  type TakenJob,
  WorkerLink,
} from '../src/worker/index.ts';
import { probeQueue, type QueueProbe } from './queue-probe.ts';

const tokens = generateTokens({ count: 1_500 });

interface Hands {
  readonly link: WorkerLink;
  readonly queue: LaneQueue;
  take(): Promise<TakenJob>;
}

let workers = 0;

/** The queue of the app `shop` as one more worker holds it. */
async function openHands(probe: QueueProbe, lockDurationMs = 10_000): Promise<Hands> {
  const link = new WorkerLink({
    redis: inject('redisUrl'),
    prefix: probe.prefix,
    lockDurationMs,
    stalledIntervalMs: 50,
  });
  onTestFinished(() => link.close());
  await link.open(5_000);
  const queue = new LaneQueue(link, `worker-${++workers}`, 'shop', 'bulk');
  const take = async () => {
    const result = await queue.take();
    if (result.kind !== 'taken') throw new Error('there is no job');
    return result.job;
  };
  return { link, queue, take };
}

async function enqueue(probe: QueueProbe, count: number, more: object = {}): Promise<BatchId> {
  const notifications = tokens.slice(0, count).map((token) => ({ token }));
  const call = { app: 'shop', lane: 'bulk' as const, notifications, defaults: { alert: 'x' }, ...more };
  return (await probe.queue.enqueueBatch(call)).batchId;
}

/** A job all of whose notifications were accepted but the first, which is dead. */
function settle(job: TakenJob): Settlement {
  const settlement = new Settlement(decodePushJob(job.data, { app: 'shop', lane: 'bulk' }));
  settlement.handOver(undefined);
  settlement.retry(0, { reason: 'none', status: 255, fault: 'notification', tokenInvalid: false });
  settlement.accept(1, settlement.job.count, 'presumed');
  settlement.endTry(
    { attempts: 1, onUncertain: 'resend', retryForMs: 60_000, countTries: true, waitMs: () => 1 },
    1,
  );
  return settlement;
}

function reportOf(job: TakenJob): OutcomeReport {
  return settle(job).report({ id: job.id, firstIndex: 1 }, 2);
}

async function reports(probe: QueueProbe): Promise<OutcomeReport[]> {
  const entries = await probe.redis.xrange(outcomesKey(probe.prefix, 'shop'), '-', '+');
  return entries.map(([, fields]) => outcomeReportSchema.parse(JSON.parse(fields[1]!)));
}

test('jobs come in their order, each to one worker', async () => {
  const probe = probeQueue();
  const [one, other] = await Promise.all([openHands(probe), openHands(probe)]);
  const batch = await enqueue(probe, 1_500);
  const first = await one.take();
  const second = await other.take();
  expect([first.id, second.id]).toEqual([`${batch}-1`, `${batch}-1001`]);
  expect(first).toMatchObject({ name: 'push', timesTaken: 1, progress: undefined, mayBeCancelled: false });
  expect(await one.queue.take()).toEqual({ kind: 'empty', nextAtMs: undefined });
});

test('a job tells whether anything of its app is cancelled', async () => {
  const probe = probeQueue();
  const { take } = await openHands(probe);
  const batch = await enqueue(probe, 1_500);
  expect((await take()).mayBeCancelled).toBe(false);
  await cancel(probe, 'shop', batch, 60_000, [1_200]);
  await cancel(probe, 'shop', batch, 10_000, [1_300]);
  expect((await take()).mayBeCancelled).toBe(true);
  expect(await probe.redis.pttl(`${probe.prefix}:{shop}:cancellations`)).toBeGreaterThan(50_000);
});

test('a delayed job tells when it is due', async () => {
  const probe = probeQueue();
  const { queue } = await openHands(probe);
  const sendAt = Math.floor(Date.now() / 1_000) + 3_600;
  await enqueue(probe, 1, { sendAt });
  expect(await queue.take()).toEqual({ kind: 'empty', nextAtMs: sendAt * 1_000 });
});

test('a job is reported once, however often and by whomever', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe);
  await enqueue(probe, 100);
  const job = await take();
  expect(await queue.report(job, reportOf(job))).toBe('done');
  expect(await queue.report(job, reportOf(job))).toBe('done');
  expect(await queue.finish(job)).toBe('done');
  expect(await queue.report(job, reportOf(job))).toBe('gone');
  expect(await reports(probe)).toHaveLength(1);
  expect(await probe.redis.hgetall(totalsKey(probe.prefix, 'shop'))).toEqual({
    'enqueued:bulk': '100',
    'accepted-presumed:bulk': '99',
    'dead:bulk': '1',
  });
  expect(await probe.jobs('shop', 'bulk')).toEqual([]);
  expect(await queue.finish(job)).toBe('done');
});

test('a job whose worker died after the report, before the end, is not sent again', async () => {
  const probe = probeQueue();
  const [dying, next] = await Promise.all([openHands(probe, 60), openHands(probe)]);
  await enqueue(probe, 100);
  const job = await dying.take();
  expect(await dying.queue.report(job, reportOf(job))).toBe('done');
  await vi.waitFor(async () => expect(await next.queue.moveStalled()).toBe(1), { interval: 20 });
  const again = await next.take();
  const decoded = decodePushJob(again.data, { app: 'shop', lane: 'bulk' });
  const settlement = new Settlement(decoded, again.progress);
  expect(settlement.left).toBe(0);
  // What is known of it meanwhile is what has been reported.
  const { accepted, exceptions } = reportOf(job);
  expect(again.progress).toMatchObject({
    remaining: [],
    accepted,
    exceptions: [{ ...exceptions[0], atMs: expect.any(Number) }],
  });
});

test('a worker that lost a job to another changes nothing of it', async () => {
  const probe = probeQueue();
  const [slow, quick] = await Promise.all([openHands(probe, 60), openHands(probe)]);
  await enqueue(probe, 100);
  const mine = await slow.take();
  await vi.waitFor(async () => expect(await quick.queue.moveStalled()).toBe(1), { interval: 20 });
  const theirs = await quick.take();
  expect(theirs).toMatchObject({ id: mine.id, timesTaken: 2 });
  expect(await slow.queue.checkpoint([{ job: mine, saved: settle(mine).saved() }])).toEqual(['lost']);
  expect(await slow.queue.report(mine, reportOf(mine))).toBe('lost');
  expect(await slow.queue.delay(mine, 10)).toBe('lost');
  expect(await slow.queue.putBack(mine)).toBe('lost');
  expect(await slow.queue.finish(mine)).toBe('lost');
  expect(await slow.queue.renew([mine])).toEqual([mine.id]);
  expect(await reports(probe)).toEqual([]);
  expect(await quick.queue.report(theirs, reportOf(theirs))).toBe('done');
  // The one that has reported it hears the same again; the other does not count it as its own.
  expect(await quick.queue.report(theirs, reportOf(theirs))).toBe('done');
  expect(await slow.queue.checkpoint([{ job: mine, saved: settle(mine).saved() }])).toEqual(['lost']);
  expect(await quick.queue.finish(theirs)).toBe('done');
  expect(await slow.queue.report(mine, reportOf(mine))).toBe('gone');
  expect(await slow.queue.checkpoint([{ job: mine, saved: settle(mine).saved() }])).toEqual(['gone']);
});

test('the progress of many jobs is written at once, each under its own lock', async () => {
  const probe = probeQueue();
  const [slow, quick] = await Promise.all([openHands(probe, 60), openHands(probe)]);
  await enqueue(probe, 10);
  const lost = await slow.take();
  await vi.waitFor(async () => expect(await quick.queue.moveStalled()).toBe(1), { interval: 20 });
  await quick.take();
  await enqueue(probe, 20);
  const [kept, retaken] = [await slow.take(), lost];
  const lock = `${probe.prefix}:{shop}:bulk:${kept.id}:lock`;
  await vi.waitFor(async () => expect(await probe.redis.exists(lock)).toBe(0), { interval: 20 });
  const checkpoints = [retaken, kept].map((job) => ({ job, saved: settle(job).saved() }));
  expect(await slow.queue.checkpoint(checkpoints)).toEqual(['lost', 'done']);
  const written = await probe.redis.hget(`${probe.prefix}:{shop}:bulk:${kept.id}`, 'progress');
  expect(JSON.parse(written!)).toMatchObject({ accepted: { presumed: 19 } });
});

test('a lock that ran out while nobody took the job is taken again', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe, 60);
  await enqueue(probe, 100);
  const job = await take();
  const lock = `${probe.prefix}:{shop}:bulk:${job.id}:lock`;
  await vi.waitFor(async () => expect(await probe.redis.exists(lock)).toBe(0), { interval: 20 });
  expect(await queue.report(job, reportOf(job))).toBe('done');
  await vi.waitFor(async () => expect(await probe.redis.exists(lock)).toBe(0), { interval: 20 });
  expect(await queue.finish(job)).toBe('done');
  expect(await reports(probe)).toHaveLength(1);
});

test('a job that stalled often is taken again all the same, with its progress', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe, 30);
  await enqueue(probe, 10);
  const job = await take();
  const progress = { ...settle(job).progress(), remaining: [[1, 3]] as [number, number][] };
  expect(await queue.checkpoint([{ job, saved: { progress, waits: [] } }])).toEqual(['done']);
  for (let stall = 0; stall < 3; stall++) {
    await vi.waitFor(async () => expect(await queue.moveStalled()).toBe(1), { interval: 20 });
    expect(await take()).toMatchObject({ id: job.id, progress });
  }
});

test('a job put off comes back at its time, with what has settled', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe);
  await enqueue(probe, 10);
  const job = await take();
  const progress = { ...settle(job).progress(), remaining: [[5, 9]] as [number, number][] };
  const waits = [[5, 9, 3, 1_000, 2_000]] as [number, number, number, number, number][];
  expect(await queue.checkpoint([{ job, saved: { progress, waits } }])).toEqual(['done']);
  expect(await queue.delay(job, 40)).toBe('done');
  const empty = await queue.take();
  expect(empty).toMatchObject({ kind: 'empty', nextAtMs: expect.any(Number) as number });
  const again = await vi.waitFor(take, { interval: 10 });
  expect(again).toMatchObject({ id: job.id, progress, waits, timesTaken: 2 });
});

test('a job put off says in its status when it was meant to be sent, not when it is tried again', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe);
  const batch = await enqueue(probe, 10);
  const located = await locateBatch(probe, ['shop'], batch);
  expect(located).toEqual({ app: 'shop', lane: 'bulk', batch, size: 10 });
  const [before] = await readQueuedJobs(probe, located!);
  const job = await take();
  expect(await queue.delay(job, 60_000)).toBe('done');
  const [after] = await readQueuedJobs(probe, located!);
  expect(before!.startMs).toBe(before!.enqueuedAtMs);
  expect(after!.startMs).toBe(before!.startMs);
});

test('a job given back is the next that anybody takes, and rings', async () => {
  const probe = probeQueue();
  const { queue, take } = await openHands(probe);
  const rings: string[] = [];
  const listening = Promise.withResolvers<void>();
  const doorbell = new Doorbell({
    redis: inject('redisUrl'),
    prefix: probe.prefix,
    onRing: (app, what) => rings.push(`${app}/${what}`),
    onListening: listening.resolve,
  });
  onTestFinished(() => doorbell.close());
  await listening.promise;
  await enqueue(probe, 1_500);
  const job = await take();
  expect(await queue.putBack(job)).toBe('done');
  expect((await take()).id).toBe(job.id);
  await vi.waitFor(() => expect(rings).toEqual(['shop/bulk', 'shop/bulk']));
});

test('locks are kept as long as the job is held, and a job that is lost is told once', async () => {
  const probe = probeQueue();
  const { link, queue, take } = await openHands(probe, 300);
  await enqueue(probe, 1_500);
  const [kept, lost] = [await take(), await take()];
  const locks = new LockKeeper({ links: [link], onError: () => undefined });
  onTestFinished(() => locks.close());
  const told: string[] = [];
  for (const job of [kept, lost]) locks.hold(queue, job, () => void told.push(job.id));
  const lockOf = (job: TakenJob) => `${probe.prefix}:{shop}:bulk:${job.id}:lock`;
  await probe.redis.set(lockOf(lost), 'another worker');
  await vi.waitFor(() => expect(told).toEqual([lost.id]));
  const until = Date.now() + 700;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(until), { timeout: 5_000 });
  expect(await probe.redis.get(lockOf(kept))).toBe(kept.token);
  expect(told).toEqual([lost.id]);
});

test('dead letters are there once, hold what is dead, and go when they are old', async () => {
  const probe = probeQueue();
  const { link, take } = await openHands(probe);
  await enqueue(probe, 10);
  const job = await take();
  const letters = new DeadLetters(link, 'shop');
  const key = `${probe.prefix}:{shop}:dead-letters`;
  await letters.keepPoisoned({ ...job, id: 'old' }, 'is broken', Date.now() - 31 * 86_400_000);
  await letters.keepDead(job, settle(job), Date.now());
  await letters.keepDead(job, settle(job), Date.now());
  expect(await probe.redis.zrange(`${key}:failed`, '0', '-1')).toEqual([job.id]);
  expect(await probe.redis.exists(`${key}:old-poisoned`)).toBe(0);
  const data = deadLetterSchema.parse(JSON.parse((await probe.redis.hget(`${key}:${job.id}`, 'data'))!));
  expect(data).toMatchObject({ reasons: { 1: 'none' }, job: { count: 1, index: [1] } });
});

test('a look at an app tells its pauses, and what waits, is due and is held in each lane', async () => {
  const probe = probeQueue();
  const { link, queue, take } = await openHands(probe);
  await pauseApp(probe, 'shop', { cause: 'operator', reason: 'by hand', sinceMs: 7 });
  const sendAt = Math.floor(Date.now() / 1_000) + 60;
  await enqueue(probe, 1_500);
  await enqueue(probe, 1, { lane: 'transactional', sendAt });
  await take();
  const seen: AppSight[] = [];
  const other = new LaneQueue(link, 'worker', 'shop', 'transactional');
  const app = { id: 'shop', queues: [other, queue], seen: (sight: AppSight) => void seen.push(sight) };
  const watch = new QueueWatch({ link, apps: [app], pollIntervalMs: 20, onError: () => undefined });
  watch.start();
  onTestFinished(() => watch.close());
  await vi.waitFor(() => expect(seen.length).toBeGreaterThan(1));
  expect(seen[0]).toEqual({
    pauses: [{ cause: 'operator', reason: 'by hand', sinceMs: 7 }],
    lanes: [
      { waiting: 0, nextAtMs: sendAt * 1_000, active: 0 },
      { waiting: 1, nextAtMs: undefined, active: 1 },
    ],
  });
});

test('a job keeps the trace contexts of its callers when it is put off, and hands its own on with the report', async () => {
  const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const worker = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
  const probe = probeQueue({ traceparent: () => caller });
  const { queue, take } = await openHands(probe);
  await enqueue(probe, 1);
  const first = await take();
  await queue.delay(first, 1);
  const job = await vi.waitFor(take, { interval: 10 });
  expect([first, job].map(({ telemetry }) => parseTraceparents(telemetry!))).toEqual([[caller], [caller]]);
  await queue.report(job, reportOf(job), worker);
  const reader = new OutcomeReader({ redis: inject('redisUrl'), prefix: probe.prefix, consumer: 'one' });
  onTestFinished(() => reader.close());
  expect((await reader.read(['shop'], 10)).reports).toMatchObject([
    { report: { job: job.id }, traceparent: worker },
  ]);
});
