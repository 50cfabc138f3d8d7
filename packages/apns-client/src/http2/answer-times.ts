/** How many answers come, and what they take, on all connections of a transport since it was begun anew. Milliseconds. */
export class AnswerTimes {
  #count = 0;
  #sumMs = 0;

  add(tookMs: number): void {
    this.#count++;
    this.#sumMs += tookMs;
  }

  get count(): number {
    return this.#count;
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
