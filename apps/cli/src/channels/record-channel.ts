import type { Effect } from '@pushfleet/push-queue';
import { ConfigError, readEnvironment } from '@pushfleet/service-kit';
import type { AuditChange } from '@pushfleet/token-store';
import { recordInRedis } from '../audit/audit-origin.ts';
import { openRedis } from '../fleet/open-redis.ts';
import type { Terminal } from '../terminal.ts';

/**
 * Makes a change at APNs that is in the audit log of the fleet, where REDIS_URL names one.
 * @throws ConfigError, CliError `redis-unavailable`, PushQueueError, and what the effect throws
 */
export async function recordChannel<T>(
  terminal: Terminal,
  change: Omit<AuditChange, 'before' | 'after'>,
  effect: () => Promise<Effect<T>>,
): Promise<T> {
  const { env } = terminal;
  if (env.REDIS_URL === undefined && env.REDIS_URL_FILE === undefined) {
    terminal.note('REDIS_URL is not set: this is in no audit log');
    return (await effect()).value;
  }
  const { config, problems } = await readEnvironment(env, { service: 'worker' });
  if (config === undefined) throw new ConfigError(problems);
  const redis = await openRedis(config.redisUrl);
  try {
    const control = { redis, prefix: config.redisPrefix };
    return await recordInRedis({ control }, env, { ...change, before: null }, effect);
  } finally {
    redis.disconnect();
  }
}
