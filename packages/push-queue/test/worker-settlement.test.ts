import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  outcomeReportSchema,
  type PushJobData,
  type PushJobProgress,
  pushJobProgressSchema,
} from '../src/index.ts';
import { type DecodedPushJob, decodePushJob, type RetryPolicy, Settlement } from '../src/worker/index.ts';

const policy: RetryPolicy = { attempts: 3, onUncertain: 'resend' };
const invalidToken = { reason: 'invalid-token', status: 8, tokenInvalid: true };
const trouble = { reason: 'processing-error', status: 1, tokenInvalid: false };

/** A job with these indexes; the token of index n is n itself, in two bytes. */
function jobOf(indexes: readonly number[]): DecodedPushJob {
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
    expiration: 0,
    priority: 10,
  };
  return decodePushJob(JSON.stringify(data), { app: 'shop', lane: 'bulk' });
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

test('a job that is simply accepted is reported in two numbers', () => {
  const settlement = new Settlement(jobOf(range(1, 1_001)));
  settlement.handOver(settlement.placesLeft());
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
  settlement.handOver(settlement.placesLeft());
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

test('a second verdict on a notification changes nothing', () => {
  const settlement = new Settlement(jobOf([1, 2, 3]));
  settlement.handOver(settlement.placesLeft());
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
    const places = settlement.placesLeft();
    settlement.handOver(places);
    const count = settlement.outstanding;
    // The first is always in trouble, the second once, the third is handed back at first and never tried.
    for (let position = 0; position < count; position++) {
      const index = job.indexes[settlement.placeOf(position)]!;
      if (index === 1 || (index === 2 && attempt === 1)) settlement.retry(position, trouble);
      else if (index === 3 && attempt <= 2) settlement.unprocessed(position, position + 1);
      else settlement.accept(position, position + 1, 'proved');
    }
    const { left, tries } = settlement.endTry(policy, attempt);
    outcomes.push([left, tries]);
    progress = pushJobProgressSchema.parse(JSON.parse(JSON.stringify(settlement.progress())));
    if (left === 0) break;
  }
  expect(outcomes).toEqual([
    [3, 1],
    [2, 2],
    [0, 0],
  ]);
  expect(progress!.exceptions).toMatchObject([{ index: 1, outcome: 'dead', reason: 'processing-error' }]);
  expect(progress!.accepted.proved).toBe(3);
});

test('what is uncertain is dropped or sent again, as the app wants it', () => {
  const dropped = new Settlement(jobOf([1, 2]));
  dropped.handOver(undefined);
  dropped.uncertain(0, 2);
  expect(dropped.endTry({ attempts: 5, onUncertain: 'drop' }, 1)).toMatchObject({ left: 0 });
  expect(dropped.exceptions).toMatchObject([{ outcome: 'dead', reason: 'uncertain' }, { outcome: 'dead' }]);
  expect([...dropped.deadPlaces()]).toEqual([0, 1]);
  const resent = new Settlement(jobOf([1, 2]));
  resent.handOver(undefined);
  resent.uncertain(0, 2);
  expect(resent.endTry(policy, 1)).toMatchObject({ left: 2, retried: 2, tries: 1 });
  expect(resent.progress()).toMatchObject({ resentUncertain: 2, remaining: [[1, 3]], tries: [[1, 3, 1]] });
});

test('the longest wait that the gateway asks for counts', () => {
  const settlement = new Settlement(jobOf([1, 2, 3]));
  settlement.handOver(undefined);
  settlement.retry(0, { ...trouble, retryAfterMs: 10 });
  settlement.retry(1, { ...trouble, retryAfterMs: 1_200_000 });
  settlement.accept(2, 3, 'proved');
  expect(settlement.endTry(policy, 1)).toMatchObject({ left: 2, retryAfterMs: 1_200_000 });
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

type Verdict = 'proved' | 'presumed' | 'rejected' | 'expired' | 'trouble' | 'uncertain' | 'unprocessed';
const verdict = fc.constantFrom<Verdict>(
  'proved',
  'presumed',
  'rejected',
  'expired',
  'trouble',
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
        const job = jobOf(chosen.toSorted((a, b) => a - b));
        let progress: PushJobProgress | undefined;
        const accepted = new Set<number>();
        for (let round = 0; round < 200; round++) {
          const settlement = new Settlement(job, progress);
          if (settlement.left === 0) break;
          const [verdicts, crashes, crashAt] = stream.next().value!;
          settlement.handOver(settlement.placesLeft());
          const count = settlement.outstanding;
          const acceptedNow: number[] = [];
          let crashed = false;
          for (let position = 0; position < count; position++) {
            if (crashes && position === crashAt) {
              // What a checkpoint has is what the next worker knows.
              progress = roundTrip(settlement.progress());
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
          settlement.endTry({ attempts: 3, onUncertain }, round);
          for (const index of acceptedNow) accepted.add(index);
          progress = roundTrip(settlement.progress());
          const { accepted: counts, exceptions, remaining } = progress;
          const left = remaining.reduce((sum, [from, to]) => sum + to - from, 0);
          expect(counts.proved + counts.presumed + exceptions.length + left).toBe(job.count);
          expect(counts.proved + counts.presumed).toBe(accepted.size);
        }
        if (progress === undefined || progress.remaining.length > 0) return;
        const report = new Settlement(job, progress).report({ id: 'job', firstIndex: chosen[0]! }, 1);
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

function roundTrip(progress: PushJobProgress): PushJobProgress {
  return pushJobProgressSchema.parse(JSON.parse(JSON.stringify(progress)));
}
