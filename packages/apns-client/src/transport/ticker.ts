import type { Clock } from './clock.ts';

/** One call that comes in time: soon while something is in flight, late while nothing is. */
export class Ticker {
  readonly #clock: Clock;
  readonly #tick: () => void;
  #next: { readonly inMs: number; readonly cancel: () => void } | undefined;

  constructor(clock: Clock, tick: () => void) {
    this.#clock = clock;
    this.#tick = tick;
  }

  /** Sees to it that the next call comes within `inMs`. */
  within(inMs: number): void {
    if (this.#next !== undefined && this.#next.inMs <= inMs) return;
    this.#next?.cancel();
    const cancel = this.#clock.after(inMs, () => {
      this.#next = undefined;
      this.#tick();
    });
    this.#next = { inMs, cancel };
  }

  stop(): void {
    this.#next?.cancel();
    this.#next = undefined;
  }
}
