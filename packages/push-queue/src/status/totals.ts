import { totalsKey } from '../redis-keys.ts';
import type { StatusOptions } from './status-options.ts';

/** The sums of an app since it first sent, by field: `enqueued:<lane>`, and `<outcome>:<lane>` of each outcome. */
export async function readTotals(
  { redis, prefix }: StatusOptions,
  app: string,
): Promise<Readonly<Record<string, number>>> {
  const stored = await redis.hgetall(totalsKey(prefix, app));
  return Object.fromEntries(Object.entries(stored).map(([field, sum]) => [field, Number(sum)]));
}
