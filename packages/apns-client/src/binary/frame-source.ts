import type { Clock } from '../clock.ts';
import type { Span } from '../span.ts';
import type { SpanQueue } from '../span-queue.ts';

/** A queue as a connection reads it: what has expired is settled on the way and never written. */
export class FrameSource {
  readonly #queue: SpanQueue;
  readonly #clock: Clock;

  constructor(queue: SpanQueue, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Takes `written` positions off the front; gives the next that may be written, or undefined. */
  take(written: number): Span | undefined {
    const queue = this.#queue;
    if (written > 0) {
      const { run, from } = queue.front()!;
      queue.advance(written);
      run.written(from, from + written);
    }
    for (;;) {
      const span = queue.front();
      if (span === undefined) return undefined;
      const nowSeconds = Math.floor(this.#clock.now() / 1_000);
      if (span.run.earliestExpiration > nowSeconds) return span;
      const live = this.#settleExpired(span, nowSeconds);
      if (live !== undefined) return live;
    }
  }

  /** Settles what has expired at the front of a span; gives the live stretch that follows, if there is one. */
  #settleExpired({ run, from, to }: Span, nowSeconds: number): Span | undefined {
    const { expirations } = run.columns;
    // 0 is no time: "do not store" (PROTOCOL section 1).
    const isExpired = (position: number) =>
      expirations[position]! !== 0 && expirations[position]! <= nowSeconds;
    let live = from;
    while (live < to && isExpired(live)) live++;
    if (live > from) {
      this.#queue.advance(live - from);
      run.expired(from, live);
      if (live === to) return undefined;
    }
    let end = live + 1;
    while (end < to && !isExpired(end)) end++;
    return { run, from: live, to: end };
  }
}
