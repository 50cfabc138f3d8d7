import { describe, expect, test } from 'vitest';
import { AttemptBudget, backoffDelayMs } from '../src/backoff.ts';
import { ConnectGate } from '../src/binary/connect-gate.ts';

const backoff = { baseMs: 100, capMs: 5_000 };
const gateOf = (options: object = {}) =>
  new ConnectGate({
    backoff,
    attemptsPerMinute: 600,
    refusalsBeforePause: 3,
    pauseProbeMs: 30_000,
    ...options,
  });

test('backoff is full jitter under a ceiling that doubles up to its cap', () => {
  const ceilings = [1, 2, 3, 4, 7, 50].map((failures) => backoffDelayMs(backoff, failures, () => 0.999_999));
  expect(ceilings).toEqual([99, 199, 399, 799, 4_999, 4_999]);
  expect(backoffDelayMs(backoff, 5, () => 0)).toBe(0);
});

describe('the budget of attempts', () => {
  test('never gives more than its limit in any minute', () => {
    const budget = new AttemptBudget(60);
    const starts: number[] = [];
    for (let now = 0; now < 300_000; now += 10) {
      if (budget.delayMs(now) > 0) continue;
      budget.spend(now);
      starts.push(now);
    }
    for (const [index, start] of starts.entries()) {
      const inMinute = starts.slice(index).filter((other) => other < start + 60_000).length;
      expect(inMinute).toBeLessThanOrEqual(60);
    }
    expect(starts.length).toBeGreaterThan(30 + 4.9 * 30);
  });

  test('says exactly how long to wait', () => {
    const budget = new AttemptBudget(2);
    budget.spend(0);
    expect(budget.delayMs(0)).toBe(60_000);
    expect(budget.delayMs(59_999)).toBe(1);
    expect(budget.delayMs(60_000)).toBe(0);
  });
});

describe('the gate', () => {
  test('opens at once, one attempt at a time until a connection has kept its silence', () => {
    const gate = gateOf();
    expect([gate.delayMs(0), gate.isUnproven, gate.isProbing]).toEqual([0, true, false]);
    gate.started(0);
    expect(gate.isProbing).toBe(true);
    gate.trusted();
    expect([gate.isUnproven, gate.isProbing]).toEqual([false, false]);
    gate.started(0);
    expect(gate.isProbing).toBe(false);
  });

  test('backs off further while connections die young, and anew after one that lived', () => {
    const gate = gateOf();
    for (const expected of [1, 2, 3]) {
      gate.trusted();
      gate.failed(0, 'closed', 100);
      expect(gate.failures).toBe(expected);
    }
    gate.failed(0, 'closed', 60_000);
    expect(gate.failures).toBe(1);
    gate.understood();
    expect([gate.failures, gate.delayMs(0)]).toEqual([0, 0]);
  });

  test('pauses after refusals in a row, or after one that is certain', () => {
    const gate = gateOf();
    gate.refused(0, 'closed', false);
    gate.refused(0, 'closed', false);
    expect(gate.pause).toBeUndefined();
    gate.refused(7, 'closed', false);
    expect(gate.pause).toEqual({ reason: 'closed', sinceMs: 7 });
    const other = gateOf();
    other.refused(5, 'certificate expired', true);
    expect(other.pause).toEqual({ reason: 'certificate expired', sinceMs: 5 });
  });

  test('probes now and then while paused, and at once when the credential changes', () => {
    const gate = gateOf();
    gate.refused(0, 'certificate expired', true);
    expect(gate.delayMs(0)).toBeGreaterThanOrEqual(22_500);
    expect(gate.delayMs(0)).toBeLessThanOrEqual(37_500);
    gate.started(30_000);
    gate.failed(30_000, 'connection refused', 0);
    expect(gate.delayMs(30_000)).toBeGreaterThanOrEqual(22_500);
    expect(gate.pause).toEqual({ reason: 'certificate expired', sinceMs: 0 });
    gate.retryNow();
    expect(gate.delayMs(30_000)).toBe(0);
    gate.trusted();
    expect(gate.pause).toBeUndefined();
  });

  test('a refusal among successes is no pause', () => {
    const gate = gateOf();
    for (let round = 0; round < 10; round++) {
      gate.refused(0, 'closed', false);
      gate.refused(0, 'closed', false);
      gate.trusted();
    }
    expect(gate.pause).toBeUndefined();
  });
});
