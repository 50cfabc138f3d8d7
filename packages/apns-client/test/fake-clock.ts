import type { Clock } from '../src/index.ts';

interface Timer {
  readonly atMs: number;
  readonly fire: () => void;
}

/** Time that passes when a test says so. */
export class FakeClock implements Clock {
  #nowMs = 1_800_000_000_000;
  #setByMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#nowMs + this.#setByMs;
  }

  /** Sets the system's clock: nothing passes by that. */
  set(byMs: number): void {
    this.#setByMs += byMs;
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that have not fired: none may be left once everything is closed. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The process stands still for so long: timers that are due fire late, at the next `advance`. */
  standStill(ms: number): void {
    this.#nowMs += ms;
  }

  /** Lets time pass; timers fire in their order, those that they start included. */
  advance(ms: number): void {
    const until = this.#nowMs + ms;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs <= until && (next === undefined || timer.atMs < next.atMs)) next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = until;
  }
}
