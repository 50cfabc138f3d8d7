import { type Lane, lanes } from '../lane.ts';
import { totalsKey } from '../redis/keys.ts';
import { type SettledOutcome, settledOutcomes } from '../settled-outcome.ts';
import type { StatusOptions } from './status-options.ts';

/** Notifications of a lane since its app first sent. */
export type LaneTotals = { readonly enqueued: number } & { readonly [Outcome in SettledOutcome]: number };

/** The sums of an app since it first sent, all of one moment. */
export async function readTotals(
  { redis, prefix }: StatusOptions,
  app: string,
): Promise<{ readonly [Each in Lane]: LaneTotals }> {
  const stored = await redis.hgetall(totalsKey(prefix, app));
  const ofLane = (lane: Lane) =>
    Object.fromEntries(
      (['enqueued', ...settledOutcomes] as const).map((name) => [
        name,
        Number(stored[`${name}:${lane}`] ?? 0),
      ]),
    );
  return Object.fromEntries(lanes.map((lane) => [lane, ofLane(lane)])) as { [Each in Lane]: LaneTotals };
}
