import { expect, test } from 'vitest';
import { runChaos } from '../src/chaos/run-chaos.ts';

const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

test(`every promise holds under faults at random, seed ${seed}`, { timeout: 900_000 }, async () => {
  const history: string[] = [];
  const report = await runChaos({ seed, seconds: 40, say: (line) => history.push(line) });
  // The faults in their order, for whoever reads the failure.
  expect(report.broken, history.join('\n')).toEqual([]);
  expect(report.promised).toBeGreaterThan(1_000);
});
