import { createRedisClient, RedisUrlError } from '@pushfleet/push-queue';
import { Cluster, type Redis } from 'ioredis';
import { CliError } from '../cli-error.ts';

/** How long Redis may take to answer, milliseconds: somebody sits and waits. */
const timeoutMs = 5_000;

/**
 * Connects once: a command that cannot reach Redis says so instead of waiting for it.
 * @throws CliError `redis-unavailable`
 */
export async function openRedis(url: string): Promise<Redis | Cluster> {
  let lastError: Error | undefined;
  let client: Redis | Cluster | undefined;
  try {
    client = createRedisClient(url, {
      connectionName: 'pushfleet:cli',
      lazyConnect: true,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    });
    // A cluster rejects with a sentence about all nodes, and says the reason here.
    client.on('error', (error: Error & { lastNodeError?: Error }) => {
      lastError = error.lastNodeError ?? error;
    });
    await client.connect();
    await client.ping();
    return client;
  } catch (cause) {
    client?.disconnect();
    if (cause instanceof RedisUrlError) throw new CliError('usage', `REDIS_URL ${cause.message}`, { cause });
    const reason = (lastError ?? (cause as Error)).message;
    throw new CliError('redis-unavailable', `Redis cannot be reached: ${reason}`, { cause });
  }
}

/** The servers that hold the keys: one, or the primaries of a cluster. */
export function primariesOf(client: Redis | Cluster): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}
