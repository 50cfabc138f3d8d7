import { expect } from 'vitest';
import { parseHeld } from '../src/held.ts';
import { appPrefix, heldKey, lanes, type QueueSizes, totalsKey } from '../src/index.ts';
import { scheduledDelayMs } from '../src/redis/bullmq.ts';
import type { QueueProbe } from './queue-probe.ts';

type Keys = Pick<QueueProbe, 'redis' | 'prefix'>;

/** What Redis needs for a push job beside its data and options, bytes. */
const jobOverheadBytes = 800;

/** What is counted of an app. */
export async function counted({ redis, prefix }: Keys, app: string) {
  const [held, totals] = await Promise.all([
    redis.hgetall(heldKey(prefix, app)),
    redis.hgetall(totalsKey(prefix, app)),
  ]);
  return parseHeld(held, totals);
}

/** What is really there: push jobs that have not been reported. */
export async function present({ redis, prefix }: Keys, app: string): Promise<QueueSizes> {
  const sizes = { queued: { notifications: 0, bytes: 0 }, scheduled: { notifications: 0, bytes: 0 } };
  for (const lane of lanes) {
    const base = `${appPrefix(prefix, app)}:${lane}:`;
    const ids = [
      ...(await redis.lrange(`${base}wait`, 0, -1)),
      ...(await redis.lrange(`${base}active`, 0, -1)),
      ...(await redis.zrange(`${base}delayed`, '0', '-1')),
    ];
    for (const id of ids) {
      const [data, opts, share, reported] = await redis.hmget(base + id, 'data', 'opts', 'share', 'reported');
      if (reported !== null) continue;
      const size = scheduledDelayMs(opts) > 0 ? sizes.scheduled : sizes.queued;
      size.notifications += Number(share!.split('/')[0]);
      size.bytes += Buffer.byteLength(data!) + Buffer.byteLength(opts!) + jobOverheadBytes;
    }
  }
  return sizes;
}

export async function expectExact(probe: Keys, app: string): Promise<void> {
  const { sizes, apart, isNegative } = await counted(probe, app);
  expect({ sizes, apart, isNegative }).toEqual({
    sizes: await present(probe, app),
    apart: 0,
    isNegative: false,
  });
}

/** As an earlier version left it: no counts, and no job knows what it was counted as. */
export async function forgetCounts({ redis, prefix }: Keys, app: string, marks = true): Promise<void> {
  await redis.del(heldKey(prefix, app));
  if (!marks) return;
  for (const lane of lanes) {
    const base = `${appPrefix(prefix, app)}:${lane}:`;
    const ids = [
      ...(await redis.lrange(`${base}wait`, 0, -1)),
      ...(await redis.lrange(`${base}active`, 0, -1)),
      ...(await redis.zrange(`${base}delayed`, '0', '-1')),
    ];
    for (const id of ids) await redis.hdel(base + id, 'held');
  }
}
