/** What is left of a caller's rate. */
export interface RateState {
  readonly isAllowed: boolean;
  /** Requests a second. */
  readonly limit: number;
  /** Requests that may follow at once. */
  readonly remaining: number;
  /** Until there is room again for all of the rate, or of a refused request for one. Whole seconds. */
  readonly resetSeconds: number;
}

/** A second's worth of requests may come at once. */
const burstSeconds = 1;
/** Between two looks for buckets that are full, which need not be kept, milliseconds. */
const forgetAfterMs = 60_000;

interface Bucket {
  /** Below 0: what was allowed cost more than there was. */
  tokens: number;
  atMs: number;
  limit: number;
}

/** Token buckets, one for each caller, exact to the request. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  #sweptAtMs = 0;

  /**
   * @param cost What is taken. More than a second's worth waits for a full bucket, and for as long as it takes after it.
   */
  take(caller: string, limit: number, nowMs: number = performance.now(), cost = 1): RateState {
    this.#sweep(nowMs);
    const room = limit * burstSeconds;
    const bucket = this.#buckets.get(caller) ?? { tokens: room, atMs: nowMs, limit };
    const tokens = Math.min(room, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * limit);
    const needed = Math.min(cost, room);
    const isAllowed = tokens >= needed;
    bucket.tokens = isAllowed ? tokens - cost : tokens;
    bucket.atMs = nowMs;
    bucket.limit = limit;
    this.#buckets.set(caller, bucket);
    const missing = isAllowed ? room - bucket.tokens : needed - tokens;
    return {
      isAllowed,
      limit,
      remaining: Math.max(0, Math.floor(bucket.tokens)),
      resetSeconds: Math.ceil(missing / limit),
    };
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < forgetAfterMs) return;
    this.#sweptAtMs = nowMs;
    for (const [caller, { atMs, tokens, limit }] of this.#buckets) {
      const isFull = tokens + ((nowMs - atMs) / 1_000) * limit >= limit * burstSeconds;
      if (isFull) this.#buckets.delete(caller);
    }
  }
}
