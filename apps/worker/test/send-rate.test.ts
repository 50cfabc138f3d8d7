import { expect, test, vi } from 'vitest';
import { SendRate } from '../src/lane/send-rate.ts';
import { Loop } from '../src/loop.ts';

const idle = new Loop(() => undefined);

interface Row {
  readonly name: string;
  readonly perSecond: number | undefined;
  /** At a time, milliseconds, so many are handed over. */
  readonly spent: readonly (readonly [atMs: number, notifications: number])[];
  readonly atMs: number;
  readonly allowance: number;
}

const rows: readonly Row[] = [
  { name: 'no limit', perSecond: undefined, spent: [[0, 1_000_000]], atMs: 0, allowance: Infinity },
  { name: 'a tenth of a second at once', perSecond: 50_000, spent: [], atMs: 0, allowance: 5_000 },
  { name: 'no more after a pause', perSecond: 50_000, spent: [], atMs: 60_000, allowance: 5_000 },
  { name: 'one at least', perSecond: 1, spent: [], atMs: 0, allowance: 1 },
  { name: 'what went is gone', perSecond: 50_000, spent: [[0, 3_000]], atMs: 0, allowance: 2_000 },
  { name: 'comes back with time', perSecond: 50_000, spent: [[0, 5_000]], atMs: 40, allowance: 2_000 },
  { name: 'a job that was too large', perSecond: 100, spent: [[0, 1_000]], atMs: 0, allowance: -990 },
  { name: 'is made up for', perSecond: 100, spent: [[0, 1_000]], atMs: 9_900, allowance: 0 },
  {
    name: 'over a second no more than the rate and the burst',
    perSecond: 10_000,
    spent: Array.from({ length: 11 }, (_, tenth) => [tenth * 100, 1_000] as const),
    atMs: 1_000,
    allowance: 0,
  },
];

test.each(rows)('the rate of a lane: $name', ({ perSecond, spent, atMs, allowance }) => {
  const rate = new SendRate(perSecond, idle, 0);
  for (const [at, notifications] of spent) rate.spend(notifications, at);
  expect(rate.allowance(atMs)).toBeCloseTo(allowance);
  rate.stop();
});

test('wakes the loop when the next may go', async () => {
  const turn = vi.fn();
  const rate = new SendRate(1_000, new Loop(turn), performance.now());
  rate.spend(150, performance.now());
  expect(rate.allowance(performance.now())).toBeLessThanOrEqual(0);
  await vi.waitFor(() => expect(turn).toHaveBeenCalledOnce(), 10_000);
  expect(rate.allowance(performance.now())).toBeGreaterThan(0);
});
