/** Doubles with each try, from `baseMs` up to `capMs`. Milliseconds. */
export interface RetryBackoff {
  readonly baseMs: number;
  readonly capMs: number;
}

export const defaultRetryBackoff: RetryBackoff = { baseMs: 1_000, capMs: 300_000 };

/**
 * How long to wait before the next try of what has been tried `tries` times: half of the backoff for certain, the
 * other half by chance, and never less than the gateway asks for.
 */
export function retryDelayMs(
  backoff: RetryBackoff,
  tries: number,
  retryAfterMs: number,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(tries - 1, 30));
  return Math.max(retryAfterMs, Math.ceil(ceiling * (0.5 + random() / 2)));
}
