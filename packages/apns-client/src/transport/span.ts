import type { TrackedRun } from './tracked-run.ts';

/** A contiguous range of a run's positions, half-open. The unit in which notifications move: never one by one. */
export interface Span<Run = TrackedRun> {
  readonly run: Run;
  readonly from: number;
  readonly to: number;
}

export function countOf(spans: readonly Span<unknown>[]): number {
  let count = 0;
  for (const { from, to } of spans) count += to - from;
  return count;
}

/** Hands back what has not been written. */
export function handBack(spans: readonly Span[]): void {
  for (const { run, from, to } of spans) run.handBack(from, to);
}
