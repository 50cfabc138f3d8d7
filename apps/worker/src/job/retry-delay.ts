import type { RetryKind } from '@pushfleet/push-queue/worker';

/** Doubles with each try, from `baseMs` up to `capMs`. Milliseconds. */
export interface RetryBackoff {
  readonly baseMs: number;
  readonly capMs: number;
}

export const defaultRetryBackoffs: Readonly<Record<RetryKind, RetryBackoff>> = {
  notification: { baseMs: 1_000, capMs: 300_000 },
  // Apple asks for 15 minutes after a 5xx; most faults are over much sooner.
  gateway: { baseMs: 1_000, capMs: 900_000 },
  // The transport paces its own attempts to connect.
  uncertain: { baseMs: 2_000, capMs: 30_000 },
};

/**
 * Draws how long to wait before the next try of what has failed for the `times`-th time: half of the backoff for certain,
 * the other half by chance. Chance is drawn once, so that what fails together is tried together.
 */
export function drawRetryWaits(
  backoffs: Readonly<Record<RetryKind, RetryBackoff>>,
  random: () => number = Math.random,
): (kind: RetryKind, times: number) => number {
  const share = 0.5 + random() / 2;
  return (kind, times) => {
    const { baseMs, capMs } = backoffs[kind];
    return Math.ceil(Math.min(capMs, baseMs * 2 ** Math.min(times - 1, 30)) * share);
  };
}
