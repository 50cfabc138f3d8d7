import type { Clock } from '../transport/clock.ts';

/** Writes under way at a time: one in the kernel's hands, one behind it, so that the socket never runs dry. */
const mostWrites = 2;

/** The writes of a connection that the kernel has not taken, and an alarm when none of them gets on. */
export class WritesUnderWay {
  readonly #clock: Clock;
  readonly #writeStallMs: number;
  readonly #stalled: (detail: string) => void;
  #count = 0;
  #oldestSinceMs = 0;
  #cancelAlarm: (() => void) | undefined;

  constructor(clock: Clock, writeStallMs: number, stalled: (detail: string) => void) {
    this.#clock = clock;
    this.#writeStallMs = writeStallMs;
    this.#stalled = stalled;
  }

  /** Whether the kernel has everything. */
  get areFinished(): boolean {
    return this.#count === 0;
  }

  /** Whether another write may be started now. */
  get hasRoom(): boolean {
    return this.#count < mostWrites;
  }

  /** How long the oldest has been the oldest, milliseconds; 0 when there is none. */
  waitedMs(nowMs: number): number {
    return this.#count === 0 ? 0 : nowMs - this.#oldestSinceMs;
  }

  started(): void {
    this.#count++;
    if (this.#count === 1) this.#watch();
  }

  finished(): void {
    this.#count--;
    this.stop();
    if (this.#count > 0) this.#watch();
  }

  /** No alarm any more. */
  stop(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
  }

  #watch(): void {
    this.#oldestSinceMs = this.#clock.now();
    this.#cancelAlarm = this.#clock.after(this.#writeStallMs, () =>
      this.#stalled(`no write finished for ${this.#writeStallMs} ms`),
    );
  }
}
