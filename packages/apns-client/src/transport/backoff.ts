/** Full jitter: a delay drawn evenly between 0 and a ceiling that doubles with each failure. Milliseconds. */
export interface BackoffPolicy {
  readonly baseMs: number;
  readonly capMs: number;
}

/** The delay before the next try after `failures` (1 or more) failures in a row. */
export function backoffDelayMs(
  policy: BackoffPolicy,
  failures: number,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(failures - 1, 30));
  return Math.floor(random() * ceiling);
}

/** A time drawn evenly between `least` and `most` times `ms`, so that many workers do not ask at once. Milliseconds. */
export function spreadMs(ms: number, least: number, most: number): number {
  return ms * (least + Math.random() * (most - least));
}

/**
 * Attempts to connect, at most `perMinute` in any minute: rapid connecting is treated as an attack
 * (`docs/protocol/binary.md#connections`). Half of them may come at once, the other half is spread evenly.
 */
export class AttemptBudget {
  readonly #capacity: number;
  readonly #perMs: number;
  /** How many were left at `#atMs`, by the clock's `now()`. */
  #left: number;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(perMinute: number) {
    this.#capacity = Math.max(1, perMinute / 2);
    this.#perMs = perMinute / 2 / 60_000;
    this.#left = this.#capacity;
  }

  /** Milliseconds until one may be spent, where `reserved` (0 to 1) of the burst is kept for others. */
  delayMs(nowMs: number, reserved = 0): number {
    const missing = 1 + Math.floor(this.#capacity * reserved) - this.#leftAt(nowMs);
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perMs);
  }

  spend(nowMs: number): void {
    this.#left = this.#leftAt(nowMs) - 1;
    this.#atMs = nowMs;
  }

  #leftAt(nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    return Math.min(this.#capacity, this.#left + passedMs * this.#perMs);
  }
}
