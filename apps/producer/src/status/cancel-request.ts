import { readCancellationTimes } from '@pushfleet/push-queue';
import type { LocatedBatch, QueuedJob, StatusOptions } from '@pushfleet/push-queue/status';

/**
 * How long a cancellation is kept beyond the time that a job is meant for, milliseconds: its app may be paused, and what
 * was cancelled must not go out when it is resumed. Twice as long as APNs stores anything.
 */
export const cancellationMs = 60 * 86_400_000;

/** Notifications without an outcome, by their indexes in the batch: [from, to). */
export type IndexRange = readonly [from: number, to: number];

/** What of these push jobs has no outcome. */
export function remainingOf(jobs: readonly QueuedJob[]): IndexRange[] {
  return jobs.flatMap(
    ({ progress, firstIndex, count }): readonly IndexRange[] =>
      progress?.remaining ?? [[firstIndex, firstIndex + count]],
  );
}

/**
 * When it was asked to cancel what remains of a batch, or one notification of it; undefined: it was not, or not all of
 * what remains. @param index Of the notification; 0: the batch
 */
export async function readCancelRequest(
  redis: StatusOptions,
  { app, batch }: LocatedBatch,
  remaining: readonly IndexRange[],
  index: number,
): Promise<Date | undefined> {
  if (remaining.length === 0) return undefined;
  const times = await readCancellationTimes(redis, app, batch);
  const whole = times.get(0);
  const ms = index === 0 ? (whole ?? lastOfAll(times, remaining)) : earlier(whole, times.get(index));
  return ms === undefined ? undefined : new Date(ms);
}

/** When the last of what remains was asked for one by one; undefined: not all of it was. */
function lastOfAll(times: ReadonlyMap<number, number>, remaining: readonly IndexRange[]): number | undefined {
  const count = remaining.reduce((sum, [from, to]) => sum + to - from, 0);
  if (times.size < count) return undefined;
  const asked = [...times].filter(([index]) => remaining.some(([from, to]) => from <= index && index < to));
  return asked.length === count ? Math.max(...asked.map(([, ms]) => ms)) : undefined;
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
