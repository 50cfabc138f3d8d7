import { expect, test } from 'vitest';
import { AppHealth } from '../src/standing/app-health.ts';

const second = 1_000;

/** An app of which everything met with trouble, at 0. */
function slowedApp(): AppHealth {
  const health = new AppHealth(() => 0.5);
  health.recordTrouble('answers', 20, 0, 5_000);
  return health;
}

/** Sends one probe that meets with `good` and `trouble`. */
function probe(health: AppHealth, nowMs: number, good: number, trouble = 0, retryAfterMs = 0): void {
  expect(health.isProbeDue(nowMs)).toBe(true);
  health.beginProbe();
  expect(health.isProbeDue(nowMs)).toBe(false);
  health.recordGood(good, nowMs);
  if (trouble > 0) health.recordTrouble('answers', trouble, nowMs, 0, retryAfterMs);
  health.endProbe(nowMs);
}

/** When the next probe is due, in steps of 100 ms. */
function nextProbe(health: AppHealth, fromMs: number): number {
  for (let nowMs = fromMs; nowMs < fromMs + 3_600 * second; nowMs += 100) {
    if (health.isProbeDue(nowMs)) return nowMs;
  }
  throw new Error('no probe within an hour');
}

test('an app is slowed when trouble is the rule, not before, and says of which kind most was', () => {
  const health = new AppHealth();
  health.recordTrouble('resets', 19, 0, 5_000);
  expect(health.slowed).toBeUndefined();
  health.recordGood(21, 0);
  health.recordTrouble('answers', 1, 0, 5_000);
  expect(health.slowed).toBeUndefined();
  health.recordTrouble('answers', 1, 0, 5_000);
  expect(health.slowed).toEqual({ cause: 'resets', sinceMs: 5_000 });
});

test('what was ten seconds ago says nothing of now', () => {
  const health = new AppHealth();
  health.recordGood(100_000, 0);
  health.recordTrouble('timeouts', 20, 11 * second, 0);
  expect(health.slowed).toMatchObject({ cause: 'timeouts' });
});

test('probes of one come at intervals from a second to half a minute, one at a time', () => {
  const health = slowedApp();
  let nowMs = 0;
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) {
    const due = nextProbe(health, nowMs);
    waits.push((due - nowMs) / second);
    expect(health.allowance).toBe(1);
    probe(health, due, 0, 1);
    nowMs = due;
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30]);
});

test('in fifteen minutes of nothing but trouble fewer than forty notifications are sent', () => {
  const health = slowedApp();
  let sent = 0;
  for (let nowMs = 0; nowMs < 15 * 60 * second; nowMs += 100) {
    if (!health.isProbeDue(nowMs)) continue;
    sent += health.allowance;
    probe(health, nowMs, 0, 1);
  }
  expect(sent).toBeGreaterThan(25);
  expect(sent).toBeLessThan(40);
});

test('each success lets ten times as many follow, at once, until the app is free', () => {
  const health = slowedApp();
  const sent: number[] = [];
  while (health.slowed !== undefined) {
    sent.push(health.allowance);
    probe(health, second, health.allowance);
  }
  expect(sent).toEqual([1, 10, 100, 1_000]);
});

test('trouble on the way back begins anew with one, after a longer wait', () => {
  const health = slowedApp();
  probe(health, second, 1);
  probe(health, second, 10);
  probe(health, second, 50, 50);
  expect(health.allowance).toBe(1);
  expect(nextProbe(health, second)).toBe(3 * second);
});

test('an app that is slowed again soon after goes on with its intervals, after a minute with the first', () => {
  const health = slowedApp();
  for (let count = 0; count < 4; count++) probe(health, second, health.allowance);
  health.recordTrouble('answers', 20, 2 * second, 0);
  expect(nextProbe(health, 2 * second)).toBe(4 * second);
  for (let count = 0; count < 4; count++) probe(health, 4 * second, health.allowance);
  health.recordTrouble('answers', 20, 70 * second, 0);
  expect(nextProbe(health, 70 * second)).toBe(71 * second);
});

test('the gateway is left alone for as long as it asks, a quarter of an hour at most', () => {
  const health = slowedApp();
  probe(health, second, 0, 1, 60 * second);
  expect(nextProbe(health, second)).toBe(61 * second);
  probe(health, 61 * second, 0, 1, 86_400 * second);
  expect(nextProbe(health, 61 * second)).toBe((61 + 900) * second);
});

test('a probe that nobody decided about is repeated with more, and frees nothing', () => {
  const health = slowedApp();
  const allowances: number[] = [];
  let nowMs = second;
  for (let count = 0; count < 5; count++) {
    nowMs = nextProbe(health, nowMs);
    allowances.push(health.allowance);
    probe(health, nowMs, 0);
  }
  expect(allowances).toEqual([1, 10, 100, 1_000, 1_000]);
  expect(health.slowed).toBeDefined();
});

test('with nothing to probe with, the app is free after a minute', () => {
  const health = slowedApp();
  health.tick(second);
  health.tick(60 * second);
  expect(health.slowed).toBeDefined();
  health.tick(61 * second);
  expect(health.slowed).toBeUndefined();
});
