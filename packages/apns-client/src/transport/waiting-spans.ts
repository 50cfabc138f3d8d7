import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';
import type { Clock } from './clock.ts';
import type { Span } from './span.ts';
import type { SpanQueue } from './span-queue.ts';
import type { TrackedRun } from './tracked-run.ts';
import { expired, rejectedBy, retryableBy } from './verdicts.ts';

/** A queue as a connection reads it: what must not be sent, or need not be, is settled here and never written. */
export class WaitingSpans<Run extends TrackedRun = TrackedRun> {
  readonly #queue: SpanQueue<Run>;
  readonly #clock: Clock;

  constructor(queue: SpanQueue<Run>, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Takes `count` positions off the front: they have been written. */
  written(count: number): void {
    if (count === 0) return;
    const { run, from } = this.#queue.front()!;
    this.#queue.advance(count);
    run.written(from, from + count);
  }

  /**
   * Goes to the next span that may be written, and leaves it in the queue. Settles what stands before it. Undefined:
   * nothing waits.
   */
  next(): Span<Run> | undefined {
    for (;;) {
      const span = this.#queue.front();
      if (span === undefined) return undefined;
      const live = this.#settleFront(span);
      if (live !== undefined) return live;
    }
  }

  /** Whether the gateway may be known to refuse some of a run: then each has to be looked at. */
  protected mayRefuse(_run: Run): boolean {
    return false;
  }

  /** What the gateway would answer, where that is known; undefined: it has to be asked. */
  protected refusalOf(_run: Run, _position: number): GatewayAnswer | undefined {
    return undefined;
  }

  /** Settles the first position of what waits. */
  protected reject({ run, from }: Span<Run>, answer: GatewayAnswer): void {
    this.#queue.advance(1);
    run.settled(from, from + 1, answer.fault === 'gateway' ? retryableBy(answer) : rejectedBy(answer));
  }

  /** Settles what is at the front and is not to be written. Returns what is, where it comes at once. */
  #settleFront(span: Span<Run>): Span<Run> | undefined {
    const { run, from, to } = span;
    if (run.leaseUntilMs <= this.#clock.now()) {
      this.#queue.advance(to - from);
      run.handBack(from, to);
      return undefined;
    }
    const nowSeconds = Math.floor(this.#clock.epochMs() / 1_000);
    const mayRefuse = this.mayRefuse(run);
    // Mostly there is nothing to look for, however long the span is.
    if (run.earliestExpiration > nowSeconds && !mayRefuse) return span;
    const { expirations } = run.columns;
    // 0 is no time: "do not store" (`docs/protocol/binary.md#expiration`).
    const isExpired = (position: number): boolean =>
      expirations[position]! !== 0 && expirations[position]! <= nowSeconds;
    let live = from;
    while (live < to && isExpired(live)) live++;
    if (live > from) {
      this.#queue.advance(live - from);
      run.settled(from, live, expired);
      return undefined;
    }
    const refusal = mayRefuse ? this.refusalOf(run, from) : undefined;
    if (refusal !== undefined) {
      this.reject(span, refusal);
      return undefined;
    }
    let end = from + 1;
    while (end < to && !isExpired(end) && !(mayRefuse && this.refusalOf(run, end) !== undefined)) end++;
    return { run, from, to: end };
  }
}
