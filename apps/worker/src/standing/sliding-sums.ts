/** Sums of several kinds over a window that moves with time. Time is handed in. */
export class SlidingSums<Kind extends string> {
  readonly #kinds: readonly Kind[];
  /** Of each part of the window, by its number modulo `#parts`. */
  readonly #sums: Readonly<Record<Kind, Float64Array>>;
  readonly #parts: number;
  readonly #partMs: number;
  #newest = 0;

  constructor(options: {
    readonly kinds: readonly Kind[];
    readonly windowMs: number;
    readonly parts: number;
  }) {
    const { kinds, windowMs, parts } = options;
    this.#kinds = kinds;
    this.#parts = parts;
    this.#partMs = Math.max(1, windowMs / parts);
    const sums = kinds.map((kind) => [kind, new Float64Array(parts)]);
    this.#sums = Object.fromEntries(sums) as Record<Kind, Float64Array>;
  }

  add(kind: Kind, count: number, nowMs: number): void {
    this.#moveTo(nowMs);
    this.#sums[kind][this.#newest % this.#parts]! += count;
  }

  /** Over the window, as it was at the last `add`. */
  sum(kind: Kind): number {
    let sum = 0;
    for (const part of this.#sums[kind]) sum += part;
    return sum;
  }

  clear(): void {
    for (const kind of this.#kinds) this.#sums[kind].fill(0);
  }

  #moveTo(nowMs: number): void {
    const number = Math.floor(nowMs / this.#partMs);
    const passed = Math.min(this.#parts, number - this.#newest);
    for (let back = 0; back < passed; back++) {
      for (const kind of this.#kinds) this.#sums[kind][(number - back) % this.#parts] = 0;
    }
    if (passed > 0) this.#newest = number;
  }
}
