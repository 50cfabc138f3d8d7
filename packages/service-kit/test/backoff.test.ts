import { describe, expect, test } from 'vitest';
import { backoffMs, createLogger, jitterMs, pause, ReachLog } from '../src/index.ts';

const draws = <T>(draw: () => T) => Array.from({ length: 500 }, draw);

test.each([
  [1, 200],
  [3, 800],
  [5, 3_000],
  [5_000, 3_000],
])('after %i failures one waits between nothing and %i ms', (failures, most) => {
  const waits = draws(() => backoffMs(failures, 100, 3_000));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...waits)).toBeLessThanOrEqual(most);
  // Not always the same, and not always near the end.
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(most / 2);
});

test('jitter stays within its share', () => {
  const waits = draws(() => jitterMs(1_000, 0.25));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(750);
  expect(Math.max(...waits)).toBeLessThanOrEqual(1_250);
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(250);
});

describe('a pause', () => {
  test('ends by itself', async () => {
    expect(await pause(1, new AbortController().signal)).toBe(true);
  });

  test('ends with its signal, also with one that came before', async () => {
    const stop = new AbortController();
    const paused = pause(600_000, stop.signal);
    stop.abort();
    expect([await paused, await pause(1, stop.signal)]).toEqual([false, false]);
  });
});

test('that Redis is away is logged once, and that it is back', () => {
  const lines: string[] = [];
  const write = (line: string) => {
    const { msg, meanwhile } = JSON.parse(line) as { msg: string; meanwhile?: string };
    lines.push(meanwhile === undefined ? msg : `${msg} (${meanwhile})`);
  };
  const logger = createLogger({ service: 'test', level: 'info', destination: { write } });
  const log = new ReachLog(logger, 'nothing is sent');
  for (const isReached of [true, false, false, true, true]) log.update(isReached);
  expect(lines).toEqual(['Redis cannot be reached (nothing is sent)', 'Redis answers again']);
});
