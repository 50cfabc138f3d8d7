import { type SettledOutcome, settledOutcomes } from '@pushfleet/push-queue';
import { type DecodedPushJob, JobLease, type LaneQueue, Settlement } from '@pushfleet/push-queue/worker';
import { expect, test } from 'vitest';
import { JobStore, type JobStoreOptions } from '../src/job/job-store.ts';
import { PushJob } from '../src/job/push-job.ts';
import { AppLane, type AppLaneOptions } from '../src/lane/app-lane.ts';

const count = 10;

function createJob(): DecodedPushJob {
  const payload = Buffer.from('{"aps":{}}');
  return {
    app: 'shop',
    lane: 'bulk',
    batch: '01936f5e-0000-7000-8000-000000000000' as DecodedPushJob['batch'],
    batchSize: count,
    enqueuedAtMs: 1,
    count,
    indexes: Uint32Array.from({ length: count }, (_, place) => place + 1),
    columns: {
      count,
      tokens: new Uint8Array(count * 32),
      tokenOffsets: Uint32Array.from({ length: count + 1 }, (_, place) => place * 32),
      payloads: payload,
      payloadOffsets: Uint32Array.of(0, payload.length),
      payloadOf: new Uint16Array(count),
      expirations: new Uint32Array(count),
      priorities: new Uint8Array(count).fill(10),
    },
    pushType: 'alert',
    collapseId: null,
    bytes: 0,
  };
}

function hold() {
  const counted: Partial<Record<SettledOutcome, number>> = {};
  let triesEnded = 0;
  const rising = (name: SettledOutcome) => ({
    inc: (by = 1) => {
      if (by > 0) counted[name] = (counted[name] ?? 0) + by;
    },
  });
  const job = new PushJob({
    taken: {
      id: 'job',
      token: 'token',
      lease: new JobLease({ now: () => 1_000, epochMs: () => 1_000 }, 10_000),
      name: 'push',
      progress: undefined,
      waits: [],
      availableAtMs: 1,
      timesTaken: 1,
      mayBeCancelled: false,
      telemetry: undefined,
    },
    firstIndex: 1,
    settlement: new Settlement(createJob()),
    metrics: {
      written: { inc: () => undefined },
      settled: Object.fromEntries(settledOutcomes.map((name) => [name, rising(name)])) as Record<
        SettledOutcome,
        { inc(by?: number): void }
      >,
      jobsTaken: { inc: () => undefined },
      secondsToWritten: { observe: () => undefined },
      secondsToSettled: { observe: () => undefined },
      secondsToTaken: { observe: () => undefined },
    },
    home: { lane: 'bulk', leftQueue: () => undefined, tryEnded: () => void triesEnded++ },
    verdicts: { settled: () => undefined },
    span: undefined,
  });
  return { job, counted, tries: () => triesEnded };
}

/** One that waits to be handed over. */
function holdReady() {
  const held = hold();
  held.job.go('wait');
  return held;
}

test('outcomes count when Redis has taken them, each once, in whatever order the answers come', () => {
  const { job, counted } = holdReady();
  job.beginTry('binary');
  job.settled(0, 4, { kind: 'accepted', certainty: 'presumed' });
  const early = job.settlement.settled();
  job.settled(4, 8, { kind: 'accepted', certainty: 'proved' });
  const answer = { reason: 'invalid-token', status: 8, fault: 'notification', tokenInvalid: true } as const;
  job.settled(8, 9, { kind: 'rejected', answer });
  job.settled(9, 10, { kind: 'expired' });
  expect(counted).toEqual({});
  const all = job.settlement.settled();
  job.countSettled(all);
  job.countSettled(early);
  job.countSettled(all);
  expect(counted).toEqual({ 'accepted-presumed': 4, 'accepted-proved': 4, rejected: 1, expired: 1 });
});

test('what the transport sends again by itself is reported; the outcome is still to come', () => {
  const { job, tries } = holdReady();
  job.beginTry('binary');
  job.written(0, count);
  job.resent(2, 5, 'gateway-closed');
  expect(tries()).toBe(0);
  job.settled(0, count, { kind: 'accepted', certainty: 'proved' });
  expect(tries()).toBe(1);
  expect(job.settlement.report({ id: 'job', firstIndex: 1 }, 1)).toMatchObject({ resentUncertain: 3 });
});

test('a run is written under the lease of its job, which ends when the job is lost', () => {
  const { job } = holdReady();
  const { lease } = job.beginTry('http2');
  expect(lease!.untilMs).toBe(10_000);
  job.go('lose');
  expect(lease!.untilMs).toBe(Number.NEGATIVE_INFINITY);
});

/** A lane that holds one job, whose end in Redis a test lets through. */
async function holdInLane() {
  const { job } = hold();
  const warnings: string[] = [];
  const work: Promise<void>[] = [];
  const finished = Promise.withResolvers<void>();
  const finishing = Promise.withResolvers<void>();
  const link = { persist: async (_isGivenUp: unknown, attempt: () => Promise<unknown>) => attempt() };
  let hasJob = true;
  const queue = {
    app: 'shop',
    lane: 'bulk',
    link,
    take: async () => {
      if (!hasJob) return { kind: 'empty', nextAtMs: undefined };
      hasJob = false;
      return { kind: 'taken', job: job.taken };
    },
    report: async () => 'done',
    finish: async () => {
      finishing.resolve();
      await finished.promise;
      return 'done';
    },
  } as unknown as LaneQueue;
  let lose: (() => void) | undefined;
  const logger = { warn: (_fields: object, message: string) => void warnings.push(message) };
  const store = new JobStore({
    app: { attempts: 5, onUncertain: 'resend', retryForMs: 1_000 },
    link,
    health: { slowed: undefined },
    pauses: { isTripped: false },
    metrics: { countRetried: () => undefined },
    logger,
  } as unknown as JobStoreOptions);
  const held = Promise.withResolvers<void>();
  const lane = new AppLane({
    app: { transport: 'binary', onUncertain: 'resend' },
    queue,
    transport: { submit: () => undefined },
    intake: { cancellationVersion: 0, open: () => job, isFresh: () => true },
    store,
    locks: {
      hold: (_queue: unknown, _job: unknown, onLost: () => void) => {
        lose = onLost;
      },
      release: () => undefined,
    },
    budget: { reserve: () => undefined, release: () => undefined },
    spans: { begin: () => undefined },
    logger,
    loop: { wake: () => held.resolve() },
    work: { follow: (one: Promise<void>) => void work.push(one) },
  } as unknown as AppLaneOptions);
  lane.ring();
  lane.take();
  await held.promise;
  lane.handOverFirst(undefined);
  const end = async () => {
    job.settled(0, count, { kind: 'accepted', certainty: 'proved' });
    lane.tryEnded(job);
    await finishing.promise;
  };
  const settle = async () => {
    finished.resolve();
    await Promise.all(work);
  };
  return { job, lane, warnings, lose: () => lose!(), end, settle };
}

test('a job that a renewal does not find, since it has just ended, is not called lost', async () => {
  const { job, lane, warnings, lose, end, settle } = await holdInLane();
  await end();
  lose();
  await settle();
  expect(warnings).toEqual([]);
  expect(job.isLost).toBe(false);
  expect(lane.held.size).toBe(0);
});

test('one that is another’s while it is sent is', async () => {
  const { job, warnings, lose, settle } = await holdInLane();
  lose();
  await settle();
  expect(warnings).toEqual(['a push job was lost to another worker']);
  expect(job.isLost).toBe(true);
});
