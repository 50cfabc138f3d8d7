import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  outcomeReportSchema,
  type PushJobData,
  type PushJobProgress,
  pushJobProgressSchema,
  pushJobWaitsSchema,
} from '../src/index.ts';
import {
  type DecodedPushJob,
  decodePushJob,
  type RetryPolicy,
  type SavedJob,
  Settlement,
} from '../src/worker/index.ts';

const dayMs = 86_400_000;
const secondMs = 1_000;
const policy: RetryPolicy = {
  attempts: 3,
  onUncertain: 'resend',
  retryForMs: dayMs,
  countTries: true,
  waitMs: (kind, times) => ({ notification: 1, gateway: 10, uncertain: 2 })[kind] * times * secondMs,
};
const invalidToken = { reason: 'invalid-token', status: 8, tokenInvalid: true };
const trouble = {
  reason: 'processing-error',
  status: 1,
  fault: 'notification',
  tokenInvalid: false,
} as const;
const gatewayTrouble = {
  reason: 'InternalServerError',
  status: 500,
  fault: 'gateway',
  tokenInvalid: false,
} as const;

/** A job with these indexes; the token of index n is n itself, in two bytes. */
function jobOf(indexes: readonly number[], expiration: number | number[] = 0): DecodedPushJob {
  const tokens = Buffer.alloc(indexes.length * 2);
  for (const [place, index] of indexes.entries()) tokens.writeUInt16BE(index, place * 2);
  const data: PushJobData = {
    v: 1,
    app: 'shop',
    lane: 'bulk',
    batch: '019acb00-0000-7000-8000-000000000000',
    batchSize: 5_000,
    count: indexes.length,
    index: [...indexes],
    enqueuedAtMs: 1,
    tokens: tokens.toString('base64'),
    tokenLength: 2,
    payloads: 'e30=',
    payloadLength: [2],
    expiration,
    priority: 10,
  };
  return decodePushJob(JSON.stringify(data), { app: 'shop', lane: 'bulk' });
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

test('a job that is simply accepted is reported in two numbers', () => {
  const settlement = new Settlement(jobOf(range(1, 1_001)));
  settlement.handOver(settlement.placesDue(Number.POSITIVE_INFINITY));
  settlement.accept(0, 400, 'proved');
  settlement.accept(400, 1_000, 'presumed');
  expect(settlement.outstanding).toBe(0);
  expect(settlement.endTry(policy, 5)).toMatchObject({ left: 0 });
  const report = settlement.report({ id: 'job', firstIndex: 1 }, 6);
  expect(outcomeReportSchema.parse(report)).toMatchObject({
    count: 1_000,
    accepted: { proved: 400, presumed: 600 },
    exceptions: [],
  });
});

test('progress says that a job was handed over until the try has ended, or it was not after all', () => {
  const settlement = new Settlement(jobOf([1, 2, 3]));
  expect(settlement.progress()).not.toHaveProperty('handedOver');
  settlement.announceHandover();
  settlement.handOver(settlement.placesDue(Number.POSITIVE_INFINITY));
  settlement.accept(0, 1, 'proved');
  expect(pushJobProgressSchema.parse(settlement.progress())).toMatchObject({
    handedOver: true,
    remaining: [[2, 4]],
  });
  settlement.unprocessed(1, 3);
  settlement.endTry(policy, 1);
  expect(settlement.progress()).not.toHaveProperty('handedOver');
  settlement.announceHandover();
  settlement.withdrawHandover();
  expect(settlement.progress()).not.toHaveProperty('handedOver');
});

test('of a job only the first few are handed over, if need be; the others are left', () => {
  const settlement = new Settlement(jobOf([1, 2, 3, 4]));
  const places = settlement.placesDue(0, 2);
  expect(places).toEqual(Uint16Array.of(0, 1));
  settlement.handOver(places);
  expect(settlement.outstanding).toBe(2);
  settlement.accept(0, 2, 'proved');
  expect(settlement.outstanding).toBe(0);
  expect(settlement.endTry(policy, 5)).toMatchObject({ left: 2, retried: 0 });
  expect(settlement.dueAtMs()).toBe(0);
  expect(settlement.placesDue(0)).toEqual(Uint16Array.of(2, 3));
});

test('what was in doubt is not the next probe: one that has been tried less is', () => {
  const settlement = new Settlement(jobOf([1, 2, 3, 4]));
  const probed: number[] = [];
  for (let atMs = 0; probed.length < 6; atMs += 100_000) {
    const places = settlement.placesDue(atMs, 1)!;
    probed.push(...places);
    settlement.handOver(places);
    settlement.uncertain(0, 1);
    settlement.endTry(policy, atMs);
  }
  expect(probed).toEqual([0, 1, 2, 3, 0, 1]);
  expect(settlement.placesDue(1_000_000, 2)).toEqual(Uint16Array.of(2, 3));
});

test('a second verdict on a notification changes nothing', () => {
  const settlement = new Settlement(jobOf([1, 2, 3]));
  settlement.handOver(settlement.placesDue(Number.POSITIVE_INFINITY));
  settlement.accept(0, 2, 'proved');
  expect(settlement.accept(0, 3, 'presumed')).toBe(1);
  settlement.reject(1, invalidToken, 9);
  expect(settlement.accepted).toEqual({ proved: 2, presumed: 1 });
  expect(settlement.exceptions).toEqual([]);
});

test('what the gateway had trouble with has so many tries, each notification its own', () => {
  const job = jobOf(range(1, 5));
  let progress: PushJobProgress | undefined;
  const outcomes: unknown[] = [];
  for (let attempt = 1; attempt <= 4; attempt++) {
    const settlement = new Settlement(job, progress);
    const places = settlement.placesDue(Number.POSITIVE_INFINITY);
    settlement.handOver(places);
    const count = settlement.outstanding;
    // The first is always in trouble, the second once, the third is handed back at first and never tried.
    for (let position = 0; position < count; position++) {
      const index = job.indexes[settlement.placeOf(position)]!;
      if (index === 1 || (index === 2 && attempt === 1)) settlement.retry(position, trouble);
      else if (index === 3 && attempt <= 2) settlement.unprocessed(position, position + 1);
      else settlement.accept(position, position + 1, 'proved');
    }
    const { left, retried } = settlement.endTry(policy, attempt);
    outcomes.push([left, retried]);
    progress = pushJobProgressSchema.parse(JSON.parse(JSON.stringify(settlement.progress())));
    if (left === 0) break;
  }
  expect(outcomes).toEqual([
    [3, 2],
    [2, 1],
    [0, 0],
  ]);
  expect(progress!.exceptions).toMatchObject([{ index: 1, outcome: 'dead', reason: 'processing-error' }]);
  expect(progress!.accepted.proved).toBe(3);
});

test('what is uncertain is dropped or sent again, as the app wants it', () => {
  const dropped = new Settlement(jobOf([1, 2]));
  dropped.handOver(undefined);
  dropped.uncertain(0, 2);
  expect(dropped.endTry({ ...policy, onUncertain: 'drop' }, 1)).toMatchObject({ left: 0 });
  expect(dropped.exceptions).toMatchObject([{ outcome: 'dead', reason: 'uncertain' }, { outcome: 'dead' }]);
  expect([...dropped.deadPlaces()]).toEqual([0, 1]);
  const resent = new Settlement(jobOf([1, 2]));
  resent.handOver(undefined);
  resent.uncertain(0, 2);
  expect(resent.endTry(policy, 1)).toEqual({ left: 2, retried: 2 });
  // No try is held against them.
  expect(resent.progress()).toMatchObject({ resentUncertain: 2, remaining: [[1, 3]] });
  expect(resent.progress()).not.toHaveProperty('tries');
  expect(resent.saved().waits).toEqual([[1, 3, 1, 1, 2_001]]);
});

/** Tries a job with the same end for all that is due, until nothing is left; gives when each try was, and the end. */
function retryUntilOver(
  job: DecodedPushJob,
  answer: 'uncertain' | typeof gatewayTrouble,
  change: Partial<RetryPolicy> = {},
) {
  const used = { ...policy, ...change };
  const triedAtMs: number[] = [];
  let nowMs = 1_000_000;
  let saved: SavedJob | undefined;
  for (;;) {
    const settlement: Settlement = new Settlement(job, saved?.progress, saved?.waits);
    settlement.expireOverdue(used.retryForMs, nowMs);
    if (settlement.left === 0) return { triedAtMs, endedAtMs: nowMs, exceptions: settlement.exceptions };
    triedAtMs.push(nowMs);
    settlement.handOver(settlement.placesDue(nowMs));
    const count = settlement.outstanding;
    if (answer === 'uncertain') settlement.uncertain(0, count);
    else for (let position = 0; position < count; position++) settlement.retry(position, answer);
    settlement.endTry(used, nowMs);
    saved = JSON.parse(JSON.stringify(settlement.saved())) as SavedJob;
    pushJobWaitsSchema.parse(saved.waits);
    nowMs = Math.max(nowMs, settlement.dueAtMs());
  }
}

test.each(['uncertain', gatewayTrouble] as const)(
  'what is not its own fault (%o) is tried by time, whatever the number of tries, and then expires',
  (answer) => {
    const endedAtMs = 1_000_000 + dayMs;
    const { triedAtMs, ...end } = retryUntilOver(jobOf([1, 2], 4_000_000_000), answer, {
      waitMs: () => 3_600_000,
    });
    expect(triedAtMs).toHaveLength(24);
    expect(end).toMatchObject({
      endedAtMs,
      exceptions: [
        { index: 1, outcome: 'expired', reason: 'retry-period-over', atMs: endedAtMs },
        { index: 2, outcome: 'expired', reason: 'retry-period-over' },
      ],
    });
  },
);

test('it is tried no longer than until its own expiration, and expires then', () => {
  const { triedAtMs, ...end } = retryUntilOver(jobOf([1], 1_300), gatewayTrouble, { waitMs: () => 200_000 });
  expect(triedAtMs).toEqual([1_000_000, 1_200_000]);
  expect(end).toMatchObject({
    endedAtMs: 1_300_000,
    exceptions: [{ outcome: 'expired', reason: 'expired' }],
  });
});

test.each([
  [dayMs, 60_000, 'expired'],
  [10_000, 10_000, 'retry-period-over'],
] as const)(
  'what is for now or never is tried for a minute, or for %i ms',
  (retryForMs, endsAfterMs, reason) => {
    const end = retryUntilOver(jobOf([1], 0), 'uncertain', { retryForMs, waitMs: () => 7_000 });
    expect(end).toMatchObject({
      endedAtMs: 1_000_000 + endsAfterMs,
      exceptions: [{ outcome: 'expired', reason }],
    });
  },
);

test('with no period of retrying nothing is tried twice, and its own faults are counted all the same', () => {
  expect(retryUntilOver(jobOf([1], 4_000_000_000), gatewayTrouble, { retryForMs: 0 })).toMatchObject({
    triedAtMs: [1_000_000],
    exceptions: [{ outcome: 'expired', reason: 'retry-period-over' }],
  });
});

test('a wait that the gateway asks for is kept, beyond the backoff, and not beyond the end', () => {
  const settlement = new Settlement(
    jobOf([1, 2, 3, 4], [4_000_000_000, 4_000_000_000, 1_500, 4_000_000_000]),
  );
  settlement.handOver(undefined);
  settlement.retry(0, { ...gatewayTrouble, retryAfterMs: 10 });
  settlement.retry(1, { ...gatewayTrouble, retryAfterMs: 1_200_000 });
  settlement.retry(2, { ...gatewayTrouble, retryAfterMs: 1_200_000 });
  settlement.retry(3, { ...trouble, retryAfterMs: 30_000 });
  settlement.endTry(policy, 1_000_000);
  expect(settlement.saved().waits).toEqual([
    [1, 2, 1, 1_000_000, 1_010_000],
    [2, 3, 1, 1_000_000, 2_200_000],
    [3, 4, 1, 1_000_000, 1_500_000],
    [4, 5, 0, 1_000_000, 1_030_000],
  ]);
});

test('what is ready does not wait for what is not', () => {
  const job = jobOf([1, 2, 3, 4], 4_000_000_000);
  const settlement = new Settlement(job);
  settlement.handOver(undefined);
  settlement.retry(0, { ...gatewayTrouble, retryAfterMs: 900_000 });
  settlement.uncertain(1, 2);
  settlement.unprocessed(2, 4);
  settlement.endTry(policy, 1_000_000);
  expect(settlement.dueAtMs()).toBe(0);
  let { progress, waits } = settlement.saved();
  const second = new Settlement(job, progress, waits);
  expect([...second.placesDue(1_000_001)!]).toEqual([2, 3]);
  second.handOver(second.placesDue(1_000_001));
  second.accept(0, 2, 'proved');
  expect(second.outstanding).toBe(0);
  second.endTry(policy, 1_000_001);
  expect(second.dueAtMs()).toBe(1_002_000);
  ({ progress, waits } = second.saved());
  const third = new Settlement(job, progress, waits);
  expect([...third.placesDue(1_002_000)!]).toEqual([1]);
  third.handOver(third.placesDue(1_002_000));
  third.uncertain(0, 1);
  third.endTry(policy, 1_002_000);
  // Its second time; the other has not been touched.
  expect(third.saved().waits).toEqual([
    [1, 2, 1, 1_000_000, 1_900_000],
    [2, 3, 2, 1_000_000, 1_006_000],
  ]);
});

test('while errors are the rule no try is counted, and the answers cost time alone', () => {
  let saved: SavedJob | undefined;
  const job = jobOf([1], 4_000_000_000);
  for (let time = 0; time < 10; time++) {
    const settlement: Settlement = new Settlement(job, saved?.progress, saved?.waits);
    settlement.handOver(settlement.placesDue(Number.POSITIVE_INFINITY));
    settlement.retry(0, trouble);
    expect(settlement.endTry({ ...policy, countTries: false }, 1_000_000)).toEqual({ left: 1, retried: 1 });
    saved = settlement.saved();
  }
  expect(saved).toMatchObject({ waits: [[1, 2, 10, 1_000_000, 1_100_000]] });
});

test('progress of a worker that knew no waits is taken up, and its counted tries hold', () => {
  const old: PushJobProgress = {
    v: 1,
    attempt: 2,
    remaining: [[2, 4]],
    tries: [[2, 3, 2]],
    accepted: { proved: 1, presumed: 0 },
    exceptions: [],
    resentUncertain: 0,
  };
  const settlement = new Settlement(jobOf([1, 2, 3], 4_000_000_000), old);
  expect(settlement.dueAtMs()).toBe(0);
  settlement.handOver(settlement.placesDue(0));
  settlement.retry(0, trouble);
  settlement.retry(1, trouble);
  settlement.endTry(policy, 1_000_000);
  expect(settlement.exceptions).toMatchObject([{ index: 2, outcome: 'dead', reason: 'processing-error' }]);
  expect(settlement.progress().tries).toEqual([[3, 4, 1]]);
  // What it writes is what that worker can read.
  expect(pushJobProgressSchema.safeParse(settlement.progress()).success).toBe(true);
});

test('what the transport sends again by itself is in the report', () => {
  const settlement = new Settlement(jobOf([1, 2]));
  settlement.handOver(undefined);
  const before = settlement.changes;
  settlement.resent(2);
  expect(settlement.changes).toBeGreaterThan(before);
  settlement.accept(0, 2, 'proved');
  settlement.endTry(policy, 5);
  expect(settlement.report({ id: 'job', firstIndex: 1 }, 6)).toMatchObject({ resentUncertain: 2 });
});

test('evidence that is withheld stays so, for what was and what comes; a 410 stands on its own', () => {
  const settlement = new Settlement(jobOf([1, 2, 3]));
  settlement.handOver(undefined);
  settlement.reject(0, invalidToken, 1);
  settlement.withholdEvidence();
  settlement.reject(1, invalidToken, 1);
  settlement.reject(2, { reason: 'Unregistered', status: 410, tokenInvalid: true, unregisteredAtMs: 7 }, 1);
  expect(settlement.exceptions.map(({ tokenInvalid }) => tokenInvalid)).toEqual([false, false, true]);
});

type Verdict =
  | 'proved'
  | 'presumed'
  | 'rejected'
  | 'expired'
  | 'trouble'
  | 'gatewayTrouble'
  | 'uncertain'
  | 'unprocessed';
const verdict = fc.constantFrom<Verdict>(
  'proved',
  'presumed',
  'rejected',
  'expired',
  'trouble',
  'gatewayTrouble',
  'uncertain',
  'unprocessed',
);

test('whatever happens over tries and crashes, every notification ends in one outcome', () => {
  const indexes = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 });
  const tries = fc.infiniteStream(fc.tuple(fc.infiniteStream(verdict), fc.boolean(), fc.nat({ max: 40 })));
  fc.assert(
    fc.property(
      indexes,
      tries,
      fc.constantFrom<RetryPolicy['onUncertain']>('resend', 'drop'),
      (chosen, stream, onUncertain) => {
        const job = jobOf(
          chosen.toSorted((a, b) => a - b),
          chosen.map((index) => (index % 3 === 0 ? 0 : 1_000 + index)),
        );
        const used = { ...policy, onUncertain, retryForMs: 50_000 };
        let saved: SavedJob | undefined;
        let nowMs = 1_000_000;
        const accepted = new Set<number>();
        for (let round = 0; round < 200; round++) {
          const settlement: Settlement = new Settlement(job, saved?.progress, saved?.waits);
          settlement.expireOverdue(used.retryForMs, nowMs);
          // After a crash there may be nothing that is due: it is put off again.
          if (settlement.left > 0 && settlement.dueAtMs() > nowMs) {
            nowMs = settlement.dueAtMs();
            continue;
          }
          if (settlement.left === 0) {
            saved = roundTrip(settlement.saved());
            break;
          }
          const [verdicts, crashes, crashAt] = stream.next().value!;
          settlement.handOver(settlement.placesDue(nowMs));
          const count = settlement.outstanding;
          expect(count).toBeGreaterThan(0);
          const acceptedNow: number[] = [];
          let crashed = false;
          for (let position = 0; position < count; position++) {
            if (crashes && position === crashAt) {
              // What a checkpoint has is what the next worker knows.
              saved = roundTrip(settlement.saved());
              for (const index of acceptedNow) accepted.add(index);
              crashed = true;
              break;
            }
            const index = job.indexes[settlement.placeOf(position)]!;
            expect(accepted.has(index)).toBe(false);
            const given = verdicts.next().value!;
            if (given === 'proved' || given === 'presumed') acceptedNow.push(index);
            give(settlement, position, given);
          }
          if (crashed) continue;
          expect(settlement.outstanding).toBe(0);
          settlement.endTry(used, nowMs);
          for (const index of acceptedNow) accepted.add(index);
          nowMs = Math.max(nowMs + 1, settlement.dueAtMs());
          saved = roundTrip(settlement.saved());
          const { accepted: counts, exceptions, remaining } = saved.progress;
          const left = remaining.reduce((sum, [from, to]) => sum + to - from, 0);
          expect(counts.proved + counts.presumed + exceptions.length + left).toBe(job.count);
          expect(counts.proved + counts.presumed).toBe(accepted.size);
        }
        if (saved === undefined || saved.progress.remaining.length > 0) return;
        const report = new Settlement(job, saved.progress, saved.waits).report(
          { id: 'job', firstIndex: chosen[0]! },
          1,
        );
        const ended = [...accepted, ...report.exceptions.map(({ index }) => index)];
        expect(ended.toSorted((a, b) => a - b)).toEqual([...job.indexes]);
        for (const { index, token } of report.exceptions) expect(Number.parseInt(token, 16)).toBe(index);
      },
    ),
    { numRuns: 200 },
  );
});

function give(settlement: Settlement, position: number, given: Verdict): void {
  switch (given) {
    case 'proved':
    case 'presumed':
      settlement.accept(position, position + 1, given);
      return;
    case 'rejected':
      settlement.reject(position, invalidToken, 1);
      return;
    case 'expired':
      settlement.expire(position, position + 1, 1);
      return;
    case 'trouble':
      settlement.retry(position, trouble);
      return;
    case 'gatewayTrouble':
      settlement.retry(position, gatewayTrouble);
      return;
    case 'uncertain':
      settlement.uncertain(position, position + 1);
      return;
    case 'unprocessed':
      settlement.unprocessed(position, position + 1);
      return;
    default:
      given satisfies never;
  }
}

function roundTrip(saved: SavedJob): SavedJob {
  const { progress, waits } = JSON.parse(JSON.stringify(saved)) as SavedJob;
  return { progress: pushJobProgressSchema.parse(progress), waits: pushJobWaitsSchema.parse(waits) };
}
