/** What answers take, on all connections of a transport: their mean since it was last taken. Milliseconds. */
export class AnswerTimes {
  #count = 0;
  #sumMs = 0;

  add(tookMs: number): void {
    this.#count++;
    this.#sumMs += tookMs;
  }

  /** Undefined: no answer has come since. */
  get meanMs(): number | undefined {
    return this.#count === 0 ? undefined : this.#sumMs / this.#count;
  }

  startAnew(): void {
    this.#count = 0;
    this.#sumMs = 0;
  }
}
