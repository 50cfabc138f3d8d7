import { z } from 'zod';
import { indexSchema } from './format.ts';
import { acceptedCountsSchema, type OutcomeReport, outcomeExceptionSchema } from './report.ts';

/** BullMQ `progress` of a push job: what has settled, and what is left. */
export const pushJobProgressSchema = z.strictObject({
  v: z.literal(1),
  /** Tries that ended with something left, so far. */
  attempt: z.int().min(0),
  /** Index ranges still to settle, half-open, ascending. */
  remaining: z.array(z.tuple([indexSchema, z.int()])),
  /** Of what remains, what has been tried already: from, to (half-open), tries. */
  tries: z.array(z.tuple([indexSchema, z.int(), z.int().min(1)])).optional(),
  accepted: acceptedCountsSchema,
  exceptions: z.array(outcomeExceptionSchema),
  /** Notifications sent again although the gateway may have had them. */
  resentUncertain: z.int().min(0),
  firstWrittenAtMs: z.int().optional(),
  /** Some of what remains may be with the gateway: whoever finds this, after a crash, cannot know. */
  handedOver: z.literal(true).optional(),
});
export type PushJobProgress = z.infer<typeof pushJobProgressSchema>;

/**
 * Field of a push job's hash: what of it waits to be tried again, ascending ranges of from, to (half-open), tries that
 * were not held against it, when the first one failed, and when the next is due (epoch milliseconds). Beside
 * `progress` and not in it, whose schema is strict: a worker that does not know the field tries at once.
 */
export const waitsField = 'waits';
export const pushJobWaitsSchema = z.array(z.tuple([indexSchema, z.int(), z.int().min(0), z.int(), z.int()]));
export type PushJobWaits = z.infer<typeof pushJobWaitsSchema>;

/** The progress of a job that has been reported: nothing remains. */
export function endedProgress({ accepted, exceptions, resentUncertain }: OutcomeReport): PushJobProgress {
  return { v: 1, attempt: 0, remaining: [], accepted, exceptions, resentUncertain };
}

/** What of a job is left, in the terms of `PushJobProgress`. */
export type Remaining = Pick<PushJobProgress, 'remaining' | 'tries'>;

/**
 * @param indexes Of the job's notifications by place, ascending.
 * @param isLeft By place.
 * @param tried How often each has been tried, by place.
 */
export function describeRemaining(
  indexes: Uint32Array,
  isLeft: (place: number) => boolean,
  tried: Uint8Array,
): Remaining {
  const remaining: [number, number][] = [];
  const tries: [number, number, number][] = [];
  for (let place = 0; place < indexes.length; place++) {
    if (!isLeft(place)) continue;
    const index = indexes[place]!;
    const last = remaining.at(-1);
    if (last?.[1] === index) last[1]++;
    else remaining.push([index, index + 1]);
    const times = tried[place]!;
    if (times === 0) continue;
    const lastTried = tries.at(-1);
    if (lastTried?.[1] === index && lastTried[2] === times) lastTried[1]++;
    else tries.push([index, index + 1, times]);
  }
  return tries.length > 0 ? { remaining, tries } : { remaining };
}

/** Calls `found` for each place that is left, ascending, with how often it has been tried. */
export function readRemaining(
  { remaining, tries = [] }: Remaining,
  indexes: Uint32Array,
  found: (place: number, tried: number) => void,
): void {
  let range = 0;
  for (let place = 0; place < indexes.length; place++) {
    const index = indexes[place]!;
    while (range < remaining.length && remaining[range]![1] <= index) range++;
    if (range === remaining.length) return;
    if (remaining[range]![0] > index) continue;
    const [, , tried] = tries.find(([from, to]) => index >= from && index < to) ?? [0, 0, 0];
    found(place, tried);
  }
}
