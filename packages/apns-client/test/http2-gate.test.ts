import { describe, expect, test } from 'vitest';
import { Http2Gate } from '../src/http2/http2-gate.ts';

const open = (change: { attemptsPerMinute?: number } = {}): Http2Gate =>
  new Http2Gate({
    backoff: { baseMs: 1_000, capMs: 8_000 },
    attemptsPerMinute: 1_000,
    refusalsBeforePause: 3,
    pauseProbeMs: 40_000,
    ...change,
  });

describe('the gate of an HTTP/2 transport', () => {
  test('waits longer after each failure in a row, up to a limit, and not at all after an answer', () => {
    const gate = open();
    expect(gate.delayMs(0)).toBe(0);
    for (const most of [1_000, 2_000, 4_000, 8_000, 8_000]) {
      gate.failed(0, 'away');
      expect(gate.delayMs(0)).toBeLessThanOrEqual(most);
    }
    expect([gate.failures, gate.cause, gate.pause]).toEqual([5, 'away', undefined]);
    gate.answered();
    expect([gate.failures, gate.delayMs(0)]).toEqual([0, 0]);
  });

  test('pauses after refusals in a row, or one that is certain', () => {
    const gate = open();
    gate.refused(0, 'a', false);
    gate.answered();
    gate.refused(0, 'b', false);
    gate.refused(0, 'c', false);
    expect(gate.pause).toBeUndefined();
    gate.refused(5, 'd', false);
    expect(gate.pause).toEqual({ reason: 'd', sinceMs: 5 });
    gate.refused(7, 'e', true);
    expect(gate.pause).toEqual({ reason: 'e', sinceMs: 5 });
    expect(gate.delayMs(7)).toBeGreaterThanOrEqual(30_000);
    expect(gate.delayMs(7)).toBeLessThanOrEqual(50_000);
    gate.answered();
    expect(gate.pause).toBeUndefined();
  });

  test('a hold is not cut short by what fails meanwhile, but by a credential that changes', () => {
    const gate = open();
    gate.holdUntil(0, 'TooManyProviderTokenUpdates', 1_200_000);
    gate.failed(1_000, 'reset');
    gate.refused(1_000, 'refused', true);
    expect(gate.delayMs(1_000)).toBe(1_199_000);
    gate.retryNow();
    expect(gate.delayMs(1_000)).toBe(0);
    expect(gate.pause).toBeDefined();
  });

  test('starts no more in a minute than it may', () => {
    const gate = open({ attemptsPerMinute: 10 });
    let started = 0;
    while (gate.delayMs(0) === 0) {
      gate.started(0);
      started += 1;
    }
    expect(started).toBeLessThanOrEqual(10);
    expect(gate.delayMs(0)).toBeGreaterThan(0);
    expect(gate.delayMs(60_000)).toBe(0);
  });
});
