import { setTimeout as sleep } from 'node:timers/promises';

/** Waits; false: the signal came first, or had come. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  return sleep(ms, true, { signal }).catch(() => false);
}

/** Full jitter under a ceiling that doubles with each failure (1 or more). Milliseconds. */
export function backoffMs(failures: number, baseMs = 100, capMs = 5_000): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 16));
}
