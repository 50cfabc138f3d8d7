import { Deque } from './deque.ts';
import { countOf, type Span } from './span.ts';
import type { TrackedRun } from './tracked-run.ts';

/** Spans that wait to be written. Replays go in front, in their order; new runs at the back. */
export class SpanQueue<Run = TrackedRun> {
  readonly #spans = new Deque<Span<Run>>();
  #size = 0;

  /** Notifications that wait. */
  get size(): number {
    return this.#size;
  }

  push(span: Span<Run>): void {
    this.#spans.push(span);
    this.#size += span.to - span.from;
  }

  /** Puts spans before everything else, keeping their order. */
  unshift(spans: readonly Span<Run>[]): void {
    if (spans.length === 0) return;
    this.#spans.unshift(spans);
    this.#size += countOf(spans);
  }

  front(): Span<Run> | undefined {
    return this.#spans.front();
  }

  /** Removes `count` positions from the front span. */
  advance(count: number): void {
    const { run, from, to } = this.#spans.front()!;
    this.#size -= count;
    if (from + count < to) this.#spans.replaceFront({ run, from: from + count, to });
    else this.#spans.removeFront();
  }

  /** Takes out all that waits of one run, in order. */
  takeRun(run: Run): Span<Run>[] {
    const spans = this.takeAll();
    for (const span of spans) if (span.run !== run) this.push(span);
    return spans.filter((span) => span.run === run);
  }

  takeAll(): Span<Run>[] {
    this.#size = 0;
    return this.#spans.takeAll();
  }
}
