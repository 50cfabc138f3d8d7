import type { Span } from '../transport/span.ts';
import type { SpanQueue } from '../transport/span-queue.ts';
import type { TrackedRun } from '../transport/tracked-run.ts';

/**
 * A run in which the gateway keeps rejecting notifications costs a connection for each. What is left of it goes over
 * connections of its own kind, so that only suspects wait for suspects (decision 0015).
 */
export class Quarantine {
  readonly #main: SpanQueue;
  readonly #suspects: SpanQueue;
  readonly #suspectAfter: number;
  readonly #rejections = new WeakMap<TrackedRun, number>();

  /** @param suspectAfter Rejected notifications after which a run is a suspect. */
  constructor(main: SpanQueue, suspects: SpanQueue, suspectAfter: number) {
    this.#main = main;
    this.#suspects = suspects;
    this.#suspectAfter = suspectAfter;
  }

  /** The gateway has rejected one of the run's notifications for good, whatever is wrong with it. */
  rejected(run: TrackedRun): void {
    this.#rejections.set(run, this.#rejectionsOf(run) + 1);
  }

  /**
   * Puts what the gateway discarded in front of everything newer, in order; but all that waits of a suspect run behind
   * the other suspects.
   */
  requeue(spans: readonly Span[]): void {
    const isSuspect = ({ run }: Span): boolean => this.#rejectionsOf(run) >= this.#suspectAfter;
    this.#main.unshift(spans.filter((span) => !isSuspect(span)));
    const moved = spans.filter(isSuspect);
    for (const run of new Set(moved.map((span) => span.run))) {
      for (const span of moved) if (span.run === run) this.#suspects.push(span);
      for (const span of this.#main.takeRun(run)) this.#suspects.push(span);
    }
  }

  #rejectionsOf(run: TrackedRun): number {
    return this.#rejections.get(run) ?? 0;
  }
}
