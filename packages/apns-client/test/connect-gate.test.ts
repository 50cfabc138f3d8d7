import { describe, expect, test } from 'vitest';
import { BinaryGate } from '../src/binary/gate.ts';
import { AttemptBudget, backoffDelayMs } from '../src/transport/backoff.ts';
import { ConnectGate, type ConnectGateOptions } from '../src/transport/connect-gate.ts';

const backoff = { baseMs: 100, capMs: 5_000 };
const options: ConnectGateOptions = {
  backoff,
  attemptsPerMinute: 600,
  refusalsBeforePause: 3,
  pauseProbeMs: 30_000,
};

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

const gates = {
  'the gate': () => new ConnectGate(options),
  'the gate of a binary transport': () => new BinaryGate(options),
};

describe.each(Object.entries(gates))('%s', (_, open) => {
  test('waits longer after each failure in a row, up to a limit, and not at all after an answer', () => {
    const gate = open();
    expect(gate.delayMs(0)).toBe(0);
    for (const most of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      gate.failed(0, 'away');
      expect(gate.delayMs(0)).toBeLessThanOrEqual(most);
    }
    expect([gate.failures, gate.cause, gate.pause]).toEqual([8, 'away', undefined]);
    gate.answered();
    expect([gate.failures, gate.delayMs(0)]).toEqual([0, 0]);
  });

  test('counts failures anew after a connection that lived', () => {
    const gate = open();
    for (const expected of [1, 2, 3]) {
      gate.failed(0, 'closed', 100);
      expect(gate.failures).toBe(expected);
    }
    gate.failed(0, 'closed', 60_000);
    expect(gate.failures).toBe(1);
  });

  test('pauses after three attempts in a row that reach nothing, or one refusal', () => {
    const gate = open();
    gate.unreachable(0, 'a', true);
    gate.answered();
    gate.unreachable(0, 'b', true);
    gate.unreachable(0, 'c', true);
    expect(gate.pause).toBeUndefined();
    gate.unreachable(5, 'd', true);
    expect(gate.pause).toMatchObject({ about: 'worker', reason: 'd', sinceMs: 5 });
    gate.refused(7, 'e');
    expect(gate.pause).toMatchObject({ about: 'credential', reason: 'e', sinceMs: 5 });
    gate.answered();
    expect(gate.pause).toBeUndefined();
    const other = open();
    other.refused(5, 'certificate expired');
    expect(other.pause).toMatchObject({ about: 'credential', reason: 'certificate expired', sinceMs: 5 });
  });

  test('probes now and then while paused, and at once when the credential changes', () => {
    const gate = open();
    gate.refused(0, 'certificate expired');
    expect(gate.delayMs(0)).toBeGreaterThanOrEqual(22_500);
    expect(gate.delayMs(0)).toBeLessThanOrEqual(37_500);
    gate.started(30_000);
    gate.failed(30_000, 'connection refused');
    expect(gate.delayMs(30_000)).toBeGreaterThanOrEqual(22_500);
    expect(gate.pause).toMatchObject({
      checkedAtMs: 30_000,
      untilMs: expect.closeTo(30_000 + gate.delayMs(30_000)),
    });
    expect(gate.pause).toMatchObject({ about: 'credential', reason: 'certificate expired', sinceMs: 0 });
    gate.retryNow();
    expect(gate.delayMs(30_000)).toBe(0);
    expect(gate.pause).toBeDefined();
  });

  test('pauses about the worker after attempts in a row that reach nothing, and goes on by backoff', () => {
    const gate = open();
    gate.unreachable(0, 'refused', true);
    gate.unreachable(0, 'refused', true);
    expect(gate.pause).toBeUndefined();
    gate.unreachable(5, 'no route', true);
    expect(gate.pause).toMatchObject({ about: 'worker', reason: 'no route', sinceMs: 5 });
    for (let now = 10_000; now < 1_000_000; now += 10_000) {
      expect(gate.delayMs(now)).toBeLessThanOrEqual(backoff.capMs);
      gate.unreachable(now, 'refused', true);
    }
    expect(gate.pause).toMatchObject({ about: 'worker', reason: 'refused', sinceMs: 5 });
    gate.answered();
    expect([gate.pause, gate.delayMs(1_000_000)]).toEqual([undefined, 0]);
  });

  test('does not pause while another connection is open', () => {
    const gate = open();
    for (let attempt = 0; attempt < 10; attempt++) gate.unreachable(0, 'refused', false);
    expect([gate.failures, gate.pause]).toEqual([10, undefined]);
  });

  test('a pause about the credential stays one while nothing can be reached', () => {
    const gate = open();
    gate.refused(0, 'certificate expired');
    gate.unreachable(30_000, 'no route', true);
    expect(gate.pause).toMatchObject({ about: 'credential', reason: 'certificate expired' });
    expect(gate.delayMs(30_000)).toBeGreaterThanOrEqual(22_500);
  });

  test('a hold is not cut short by what fails meanwhile, but by a credential that changes', () => {
    const gate = open();
    gate.holdUntil(0, 'TooManyProviderTokenUpdates', 1_200_000);
    gate.failed(1_000, 'reset');
    gate.refused(1_000, 'refused');
    expect(gate.delayMs(1_000)).toBe(1_199_000);
    gate.retryNow();
    expect(gate.delayMs(1_000)).toBe(0);
  });

  test('starts no more in a minute than it may, and leaves a share of those to others', () => {
    const startedBy = (share: number): number => {
      const gate = open();
      let started = 0;
      while (gate.delayMs(0, share) === 0) {
        gate.started(0);
        started += 1;
      }
      expect(gate.delayMs(0, share)).toBeGreaterThan(0);
      expect(gate.delayMs(60_000, share)).toBe(0);
      return started;
    };
    expect(startedBy(0)).toBe(300);
    expect(startedBy(0.5)).toBe(150);
  });
});

describe('the gate of a binary transport', () => {
  test('makes one attempt at a time until a connection has kept its silence', () => {
    const gate = new BinaryGate(options);
    expect([gate.delayMs(0), gate.isUnproven, gate.isProbing]).toEqual([0, true, false]);
    gate.started(0);
    expect(gate.isProbing).toBe(true);
    gate.trusted();
    expect([gate.isUnproven, gate.isProbing]).toEqual([false, false]);
    gate.started(0);
    expect(gate.isProbing).toBe(false);
  });

  test('goes on backing off while connections keep their silence and die young', () => {
    const gate = new BinaryGate(options);
    for (const expected of [1, 2, 3]) {
      gate.trusted();
      gate.failed(0, 'closed', 100);
      expect([gate.failures, gate.isUnproven]).toEqual([expected, true]);
    }
    gate.answered();
    expect([gate.failures, gate.isUnproven]).toEqual([0, false]);
  });

  test('a refusal among successes is no pause', () => {
    const gate = new BinaryGate(options);
    for (let round = 0; round < 10; round++) {
      gate.unreachable(0, 'closed', true);
      gate.unreachable(0, 'closed', true);
      gate.trusted();
    }
    expect(gate.pause).toBeUndefined();
    gate.refused(0, 'closed');
    gate.trusted();
    expect(gate.pause).toBeUndefined();
  });
});
