import { setTimeout as delay } from 'node:timers/promises';
import { totalsKey } from '@pushfleet/push-queue';
import { Redis } from 'ioredis';
import { benchApp, type Fleet } from './fleet.ts';

/** The sums that Redis keeps of an app, over both lanes. */
export interface AppTotals {
  readonly enqueued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

export async function readAppTotals(
  { url, prefix }: { readonly url: string; readonly prefix: string },
  app: string,
): Promise<AppTotals> {
  const redis = new Redis(url);
  try {
    const sums: Record<string, number> = {};
    for (const [field, value] of Object.entries(await redis.hgetall(totalsKey(prefix, app)))) {
      const [name = ''] = field.split(':');
      sums[name] = (sums[name] ?? 0) + Number(value);
    }
    return {
      enqueued: sums.enqueued ?? 0,
      accepted: (sums['accepted-proved'] ?? 0) + (sums['accepted-presumed'] ?? 0),
      rejected: sums.rejected ?? 0,
      expired: sums.expired ?? 0,
      cancelled: sums.cancelled ?? 0,
      dead: sums.dead ?? 0,
    };
  } finally {
    redis.disconnect();
  }
}

export function settledOf({ accepted, rejected, expired, cancelled, dead }: AppTotals): number {
  return accepted + rejected + expired + cancelled + dead;
}

/** Waits until everything that was enqueued is accepted; throws when an outcome is another, or the time is over. */
export async function waitForAllAccepted(fleet: Fleet, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const totals = await readAppTotals(fleet.redis, benchApp);
    if (totals.accepted === totals.enqueued) return;
    const isOther = settledOf(totals) > totals.accepted;
    if (isOther || performance.now() > deadlineMs) {
      throw new Error(`Not all were accepted: ${JSON.stringify(totals)}`);
    }
    await delay(100);
  }
}
