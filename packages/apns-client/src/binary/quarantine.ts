import type { Span } from '../span.ts';
import type { SpanQueue } from '../span-queue.ts';
import type { TrackedRun } from '../tracked-run.ts';

/**
 * A run in which the gateway keeps finding invalid tokens costs a connection for each. What is left of it goes over
 * connections of its own kind, so that only suspects wait for suspects (decision 0015).
 */
export class Quarantine {
  readonly #main: SpanQueue;
  readonly #suspects: SpanQueue;
  readonly #suspectAfter: number;
  readonly #invalidTokens = new WeakMap<TrackedRun, number>();

  /** @param suspectAfter Invalid tokens after which a run is a suspect. */
  constructor(main: SpanQueue, suspects: SpanQueue, suspectAfter: number) {
    this.#main = main;
    this.#suspects = suspects;
    this.#suspectAfter = suspectAfter;
  }

  /** The gateway has called one of the run's tokens invalid. */
  invalidToken(run: TrackedRun): void {
    this.#invalidTokens.set(run, this.#invalidTokensOf(run) + 1);
  }

  /**
   * Puts what the gateway discarded in front of everything newer, in order; but all that waits of a suspect run behind
   * the other suspects.
   */
  requeue(spans: readonly Span[]): void {
    const isSuspect = ({ run }: Span): boolean => this.#invalidTokensOf(run) >= this.#suspectAfter;
    this.#main.unshift(spans.filter((span) => !isSuspect(span)));
    const moved = spans.filter(isSuspect);
    for (const run of new Set(moved.map((span) => span.run))) {
      for (const span of moved) if (span.run === run) this.#suspects.push(span);
      for (const span of this.#main.takeRun(run)) this.#suspects.push(span);
    }
  }

  #invalidTokensOf(run: TrackedRun): number {
    return this.#invalidTokens.get(run) ?? 0;
  }
}
