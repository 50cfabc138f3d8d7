/**
 * Bounds the memory of the push jobs that a worker holds. Every app may always hold one job; beyond that it has a
 * share of the whole, so that apps whose gateway is slow cannot use up the memory that the others need.
 */
export class MemoryBudget {
  readonly #totalBytes: number;
  readonly #appBytes: number;
  readonly #held = new Map<string, number>();
  #sum = 0;

  constructor(options: { readonly totalBytes: number; readonly appBytes: number }) {
    this.#totalBytes = options.totalBytes;
    this.#appBytes = options.appBytes;
  }

  mayHoldMore(app: string): boolean {
    const held = this.#held.get(app) ?? 0;
    return held === 0 || (held < this.#appBytes && this.#sum < this.#totalBytes);
  }

  reserve(app: string, bytes: number): void {
    this.#sum += bytes;
    this.#held.set(app, (this.#held.get(app) ?? 0) + bytes);
  }

  release(app: string, bytes: number): void {
    this.#sum -= bytes;
    const left = (this.#held.get(app) ?? 0) - bytes;
    if (left > 0) this.#held.set(app, left);
    else this.#held.delete(app);
  }
}
