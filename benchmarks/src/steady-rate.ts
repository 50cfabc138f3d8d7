import { setTimeout as delay } from 'node:timers/promises';
import { benchApp, type Fleet } from './fleet.ts';
import { processSeconds } from './process-time.ts';
import { readAppTotals } from './totals.ts';

export interface SteadyRate {
  /** Notifications accepted, per second. */
  readonly rate: number;
  /** Processor time of one process per million of them, seconds, by the name it was given. */
  readonly cpuPerMillion: Readonly<Record<string, number>>;
}

/**
 * The rate of what is under way: what Redis counts as accepted over `measuredMs`, once `warmUpMs` are over. The backlog has
 * to last.
 * @param processes Their ids, by a name.
 */
export async function measureSteadyRate(
  fleet: Fleet,
  { warmUpMs, measuredMs }: { readonly warmUpMs: number; readonly measuredMs: number },
  processes: Readonly<Record<string, number>>,
): Promise<SteadyRate> {
  await delay(warmUpMs);
  const before = await look(fleet, processes);
  await delay(measuredMs);
  const after = await look(fleet, processes);
  const count = after.accepted - before.accepted;
  if (after.waiting === 0) throw new Error('The backlog did not last');
  return {
    rate: count / ((after.atMs - before.atMs) / 1_000),
    cpuPerMillion: Object.fromEntries(
      Object.keys(processes).map((name) => [
        name,
        ((after.seconds[name]! - before.seconds[name]!) / count) * 1e6,
      ]),
    ),
  };
}

async function look(fleet: Fleet, processes: Readonly<Record<string, number>>) {
  const { enqueued, accepted } = await readAppTotals(fleet.redis, benchApp);
  const atMs = performance.now();
  const seconds: Record<string, number> = {};
  for (const [name, pid] of Object.entries(processes)) seconds[name] = await processSeconds(pid);
  return { accepted, waiting: enqueued - accepted, atMs, seconds };
}
