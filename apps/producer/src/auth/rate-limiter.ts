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
/** Callers that said nothing for this long start anew; by then their bucket is full anyhow. Milliseconds. */
const forgetAfterMs = 60_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/** Token buckets, one for each caller, exact to the request. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  #sweptAtMs = 0;

  take(caller: string, limit: number, nowMs: number = performance.now()): RateState {
    this.#sweep(nowMs);
    const room = limit * burstSeconds;
    const bucket = this.#buckets.get(caller) ?? { tokens: room, atMs: nowMs };
    const tokens = Math.min(room, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * limit);
    const isAllowed = tokens >= 1;
    bucket.tokens = isAllowed ? tokens - 1 : tokens;
    bucket.atMs = nowMs;
    this.#buckets.set(caller, bucket);
    const missing = isAllowed ? room - bucket.tokens : 1 - tokens;
    return {
      isAllowed,
      limit,
      remaining: Math.floor(bucket.tokens),
      resetSeconds: Math.ceil(missing / limit),
    };
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < forgetAfterMs) return;
    this.#sweptAtMs = nowMs;
    for (const [caller, { atMs }] of this.#buckets) {
      if (nowMs - atMs > forgetAfterMs) this.#buckets.delete(caller);
    }
  }
}
