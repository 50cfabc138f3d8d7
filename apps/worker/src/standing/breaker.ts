import { SlidingSums } from './sliding-sums.ts';

/** When the share of invalid tokens says that something else is wrong, such as the environment. */
export interface BreakerOptions {
  /** Share among what the gateway decided, over the window; 1 switches the breaker off. */
  readonly rate: number;
  /** Decided notifications before the rate counts. */
  readonly minimum: number;
  readonly windowMs: number;
}

/**
 * A circuit breaker on the rate of invalid tokens. Trips as soon as reaching the rate is certain: at
 * `rate × minimum` invalid tokens when nothing else was decided. So no more than that many are held against devices
 * before it trips, however large the table is (docs/decisions/0022-invalid-token-breaker.md).
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #sums: SlidingSums<'decided' | 'invalid'>;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#sums = new SlidingSums({ kinds: ['decided', 'invalid'], windowMs: options.windowMs, parts: 30 });
  }

  /** Counts notifications that the gateway accepted: evidence that all is well. */
  recordAccepted(notifications: number, nowMs: number): void {
    this.#sums.add('decided', notifications, nowMs);
  }

  /** Counts a token that the gateway called invalid. */
  recordInvalid(nowMs: number): void {
    this.#sums.add('decided', 1, nowMs);
    this.#sums.add('invalid', 1, nowMs);
  }

  /** Whether the rate is reached, over the window as it was when something was last recorded. */
  get isTripped(): boolean {
    const { rate, minimum } = this.#options;
    if (rate >= 1) return false;
    const { decided, invalid } = this.sums;
    return invalid >= rate * Math.max(decided, minimum);
  }

  /** Over the window, as it was when something was last recorded. */
  get sums(): { readonly decided: number; readonly invalid: number } {
    return { decided: this.#sums.sum('decided'), invalid: this.#sums.sum('invalid') };
  }

  /** Forgets everything: an operator has lifted the pause, or the app has another credential. */
  reset(): void {
    this.#sums.clear();
  }
}
