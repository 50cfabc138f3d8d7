/**
 * There and back between us and the gateway, milliseconds, as it is when nothing else is under way: the quickest answer to a
 * request, by PING before there was one. Knows no clock.
 */
export class RoundTrip {
  #sentMs: number | undefined;
  #wasAlone = false;
  #ms: number | undefined;

  /** Undefined: nothing has been answered. */
  get ms(): number | undefined {
    return this.#ms;
  }

  /** A PING goes out. @param isAlone No request is under way. */
  asked(nowMs: number, isAlone: boolean): void {
    this.#sentMs = nowMs;
    this.#wasAlone = isAlone;
  }

  /** The PING has come back. */
  returned(nowMs: number): void {
    if (this.#sentMs === undefined) return;
    // Alone, it is as things are now: the way may have changed.
    if (this.#wasAlone) this.#ms = nowMs - this.#sentMs;
    else this.answered(nowMs - this.#sentMs);
    this.#sentMs = undefined;
  }

  /** A request has been answered. */
  answered(tookMs: number): void {
    if (this.#ms === undefined || tookMs < this.#ms) this.#ms = tookMs;
  }
}
