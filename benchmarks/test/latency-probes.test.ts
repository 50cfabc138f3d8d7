import { expect, test } from 'vitest';
import { quantile, stages, timeOf } from '../src/latency-probes.ts';

const probe = { order: 1, calledMs: 1_000, turnEndedMs: 1_001, storedMs: 1_004 };

test.each([
  ['in order', { takenMs: 1_006, writtenMs: 1_007 }, [1, 3, 2, 1, 2]],
  ['taken before Redis has told the sender', { takenMs: 1_003, writtenMs: 1_005 }, [1, 2, 0, 2, 4]],
  ['the worker tells whole milliseconds', { takenMs: 1_000, writtenMs: 1_000 }, [1, 0, 0, 0, 8]],
  ['written, by its clock, after it arrived', { takenMs: 1_006, writtenMs: 1_020 }, [1, 3, 2, 3, 0]],
] as const)('the time of a probe is all attributed: %s', (_, worker, took) => {
  const time = timeOf(probe, 1_009, worker)!;
  expect(time.totalMs).toBe(9);
  expect(stages.map((stage) => time.stagesMs[stage])).toEqual(took);
});

test('a probe of which not all is known has no time', () => {
  expect(timeOf(probe, undefined, { takenMs: 1_006, writtenMs: 1_007 })).toBeUndefined();
  expect(timeOf(probe, 1_009, undefined)).toBeUndefined();
});

test('a quantile is one of the values', () => {
  const values = Array.from({ length: 100 }, (_, place) => 100 - place);
  expect([quantile(values, 0), quantile(values, 0.5), quantile(values, 0.99)]).toEqual([1, 51, 100]);
});
