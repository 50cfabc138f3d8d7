import { countOf, type Span } from './span.ts';
import type { TrackedRun } from './tracked-run.ts';

/** Spans that wait to be written. Replays go in front, in their order; new runs at the back. */
export class SpanQueue<Run = TrackedRun> {
  #spans: Span<Run>[] = [];
  #head = 0;
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
    this.#spans = [...spans, ...this.#spans.slice(this.#head)];
    this.#head = 0;
    this.#size += countOf(spans);
  }

  front(): Span<Run> | undefined {
    return this.#spans[this.#head];
  }

  /** Removes `count` positions from the front span. */
  advance(count: number): void {
    const span = this.#spans[this.#head]!;
    this.#size -= count;
    if (span.from + count < span.to) {
      this.#spans[this.#head] = { run: span.run, from: span.from + count, to: span.to };
      return;
    }
    this.#head++;
    if (this.#head === this.#spans.length) {
      this.#spans = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#spans.length) {
      this.#spans = this.#spans.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Takes out all that waits of one run, in order. */
  takeRun(run: Run): Span<Run>[] {
    const spans = this.takeAll();
    for (const span of spans) if (span.run !== run) this.push(span);
    return spans.filter((span) => span.run === run);
  }

  takeAll(): Span<Run>[] {
    const spans = this.#spans.slice(this.#head);
    this.#spans = [];
    this.#head = 0;
    this.#size = 0;
    return spans;
  }
}
