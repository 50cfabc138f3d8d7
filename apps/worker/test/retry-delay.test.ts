import { expect, test } from 'vitest';
import { defaultRetryBackoffs, drawRetryWaits } from '../src/job/retry-delay.ts';

const longest = drawRetryWaits(defaultRetryBackoffs, () => 1);
const shortest = drawRetryWaits(defaultRetryBackoffs, () => 0);

test.each([
  ['notification', 1_000, 300_000],
  ['gateway', 1_000, 900_000],
  ['uncertain', 2_000, 30_000],
] as const)('waits for trouble of the kind %s double from %i to %i ms', (kind, baseMs, capMs) => {
  expect([1, 2, 3].map((times) => longest(kind, times))).toEqual([baseMs, baseMs * 2, baseMs * 4]);
  for (const times of [20, 255, 100_000]) expect(longest(kind, times)).toBe(capMs);
  expect(shortest(kind, 1)).toBe(baseMs / 2);
  expect(shortest(kind, 100)).toBe(capMs / 2);
});

test('what fails together waits equally long', () => {
  const waitMs = drawRetryWaits(defaultRetryBackoffs);
  expect(waitMs('gateway', 5)).toBe(waitMs('gateway', 5));
});
