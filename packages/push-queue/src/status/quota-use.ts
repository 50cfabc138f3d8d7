import { parseHeld } from '../held.ts';
import { type AppQuota, type QueueSizes, quotaLimits } from '../quota.ts';
import { heldKey, totalsKey } from '../redis/keys.ts';
import { readRedisMemory, redisMemoryBytes } from '../redis/memory.ts';
import type { StatusOptions } from './status-options.ts';

export interface QuotaUse {
  readonly used: QueueSizes;
  readonly limits: QueueSizes;
}

/** What an app has in its queues, and what it may have. @param quota As it is configured. */
export async function readQuotaUse(
  { redis, prefix }: StatusOptions,
  app: string,
  quota: AppQuota | undefined,
): Promise<QuotaUse> {
  const [held, totals, memoryBytes] = await Promise.all([
    redis.hgetall(heldKey(prefix, app)),
    redis.hgetall(totalsKey(prefix, app)),
    readRedisMemory(redis).then(redisMemoryBytes, () => undefined),
  ]);
  return { used: parseHeld(held, totals).sizes, limits: quotaLimits(quota, memoryBytes) };
}
