/**
 * How many connections several holders may have together, beyond the first of each, which needs no leave: an app's
 * transports, and all apps of a worker.
 */
export class ConnectionAllowance {
  readonly #most: number;
  readonly #within: ConnectionAllowance | undefined;
  readonly #held = new Map<object, number>();
  #sum = 0;

  /** @param within What it is a part of, and which bounds it too. */
  constructor(most: number, within?: ConnectionAllowance) {
    this.#most = most;
    this.#within = within;
  }

  /** Connections that are held by anybody. */
  get held(): number {
    return this.#sum;
  }

  /** Gives a holder `wanted` connections in all, or as many as are free. Fewer than it had are always given. */
  grant(holder: object, wanted: number): number {
    const had = this.#held.get(holder) ?? 0;
    let granted = Math.min(wanted, Math.max(had, had + this.#most - this.#sum));
    if (this.#within !== undefined) granted = this.#within.grant(holder, granted);
    this.#sum += granted - had;
    if (granted > 0) this.#held.set(holder, granted);
    else this.#held.delete(holder);
    return granted;
  }
}
