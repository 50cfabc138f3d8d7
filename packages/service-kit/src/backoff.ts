import { setTimeout as sleep } from 'node:timers/promises';

// How long services wait before they try again. Published packages have their own, and so has the transport.

/**
 * Full jitter under a ceiling that doubles with each failure, so that what failed together does not come back together.
 * Milliseconds.
 * @param failures In a row, 1 or more
 */
export function backoffMs(failures: number, firstMs = 100, mostMs = 5_000): number {
  return Math.random() * Math.min(mostMs, firstMs * 2 ** Math.min(failures, 16));
}

/** A time, more or less by a share of it, so that a fleet does not act in step. Milliseconds. */
export function jitterMs(ms: number, share: number): number {
  return ms * (1 - share + 2 * share * Math.random());
}

/** Waits; false: the signal came first, or had come. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  return sleep(ms, true, { signal }).catch(() => false);
}
