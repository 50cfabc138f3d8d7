import { totalsKey } from '@pushfleet/push-queue';
import { Redis } from 'ioredis';
import { benchApp, type Fleet } from './fleet.ts';

/** The sums that Redis keeps of the app, over both lanes. */
export async function readTotals(fleet: Fleet): Promise<Readonly<Record<string, number>>> {
  const redis = new Redis(fleet.redis.url);
  try {
    const stored = await redis.hgetall(totalsKey(fleet.redis.prefix, benchApp));
    const totals: Record<string, number> = {};
    for (const [field, value] of Object.entries(stored)) {
      const [name = ''] = field.split(':');
      totals[name] = (totals[name] ?? 0) + Number(value);
    }
    return totals;
  } finally {
    redis.disconnect();
  }
}

/** Waits until everything that was enqueued has an outcome; throws when an outcome is not `accepted`. */
export async function waitForAllAccepted(fleet: Fleet, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const totals = await readTotals(fleet);
    const { enqueued = 0, 'accepted-proved': proved = 0, 'accepted-presumed': presumed = 0 } = totals;
    if (proved + presumed === enqueued) return;
    if (performance.now() > deadlineMs)
      throw new Error(`Not all accepted in time: ${JSON.stringify(totals)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
