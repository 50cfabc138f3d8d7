import type { PushJobProgress } from '../push-job.ts';

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
