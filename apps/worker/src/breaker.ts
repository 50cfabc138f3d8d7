/** When the share of invalid tokens says that something else is wrong, such as the environment. */
export interface BreakerOptions {
  /** Share among what the gateway decided, over the window; 1 switches the breaker off. */
  readonly rate: number;
  /** Decided notifications before the rate counts. */
  readonly minimum: number;
  readonly windowMs: number;
}

const parts = 30;

/**
 * A circuit breaker on the rate of invalid tokens. Trips as soon as the rate cannot but be reached: at
 * `rate × minimum` invalid tokens when nothing else was decided. So no more than that many are held against devices
 * before it trips, however large the table is (docs/decisions/0022-invalid-token-breaker.md).
 */
export class Breaker {
  readonly #options: BreakerOptions;
  /** Of each part of the window, by its number modulo `parts`. */
  readonly #decided = new Float64Array(parts);
  readonly #invalid = new Float64Array(parts);
  readonly #partMs: number;
  #newest = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#partMs = Math.max(1, options.windowMs / parts);
  }

  /** The gateway took these: evidence that all is well. */
  accepted(notifications: number, nowMs: number): void {
    this.#decided[this.#partAt(nowMs)]! += notifications;
  }

  /** The gateway called a token invalid. Gives whether that trips the breaker. */
  invalid(nowMs: number): boolean {
    const part = this.#partAt(nowMs);
    this.#decided[part]!++;
    this.#invalid[part]!++;
    const { rate, minimum } = this.#options;
    if (rate >= 1) return false;
    const { decided, invalid } = this.sums();
    return invalid >= rate * Math.max(decided, minimum);
  }

  /** Over the window, as it was at the last call. */
  sums(): { readonly decided: number; readonly invalid: number } {
    let decided = 0;
    let invalid = 0;
    for (let part = 0; part < parts; part++) {
      decided += this.#decided[part]!;
      invalid += this.#invalid[part]!;
    }
    return { decided, invalid };
  }

  /** Begins anew: after an operator's word, or with another credential, what was says nothing. */
  reset(): void {
    this.#decided.fill(0);
    this.#invalid.fill(0);
  }

  #partAt(nowMs: number): number {
    const number = Math.floor(nowMs / this.#partMs);
    const passed = Math.min(parts, number - this.#newest);
    for (let back = 0; back < passed; back++) {
      this.#decided[(number - back) % parts] = 0;
      this.#invalid[(number - back) % parts] = 0;
    }
    if (passed > 0) this.#newest = number;
    return this.#newest % parts;
  }
}
