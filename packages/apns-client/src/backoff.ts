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

/**
 * At most `limit` starts in any minute: rapid connecting is treated as an attack (PROTOCOL section 1).
 * `delayMs` says how long to wait for the next start; `record` notes one.
 */
export class MinuteLimit {
  readonly #limit: number;
  #starts: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  delayMs(nowMs: number): number {
    this.#forget(nowMs);
    return this.#starts.length < this.#limit ? 0 : this.#starts[0]! + 60_000 - nowMs;
  }

  record(nowMs: number): void {
    this.#forget(nowMs);
    this.#starts.push(nowMs);
  }

  #forget(nowMs: number): void {
    let old = 0;
    while (old < this.#starts.length && this.#starts[old]! <= nowMs - 60_000) old++;
    if (old > 0) this.#starts = this.#starts.slice(old);
  }
}
