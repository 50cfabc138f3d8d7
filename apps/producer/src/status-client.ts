import { createRedisClient, PushQueueError, reconnectDelayMs } from '@pushfleet/push-queue';
import { type Logger, ReachLog } from '@pushfleet/service-kit';
import type { Cluster, Redis } from 'ioredis';

/** How long the start waits for Redis, milliseconds: it may be starting too. */
const startPatienceMs = 5_000;

/** A client that fails at once while Redis is away, and never waits long. Connects by itself. */
export function createStatusClient(url: string): Redis | Cluster {
  const client = createRedisClient(url, {
    connectionName: 'pushfleet:producer',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 5_000,
    commandTimeout: 5_000,
    keepAlive: 30_000,
    retryStrategy: reconnectDelayMs,
  });
  // The state is told by `status`, and each refused command by its own error.
  client.on('error', () => undefined);
  return client;
}

/**
 * Waits until Redis answers: a producer that was pointed to the wrong one should not start.
 * @throws PushQueueError `redis-unavailable`
 */
export async function untilRedisAnswers(client: Redis | Cluster, signal: AbortSignal): Promise<void> {
  const isReady = () => client.status === 'ready';
  if (isReady()) return;
  let reason = 'no answer';
  // A cluster says only that none of its nodes could be asked; the reason stands beside it.
  const onError = (error: Error & { lastNodeError?: Error }) => {
    reason = (error.lastNodeError ?? error).message;
  };
  client.on('error', onError);
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, startPatienceMs);
  const settle = () => resolve();
  client.once('ready', settle);
  signal.addEventListener('abort', settle, { once: true });
  await promise;
  clearTimeout(timer);
  client.off('error', onError);
  client.off('ready', settle);
  signal.removeEventListener('abort', settle);
  if (isReady()) return;
  throw new PushQueueError('redis-unavailable', `Redis cannot be reached: ${reason}`);
}

/** Says in the log when Redis goes away and when it is back, until `stopping` aborts. */
export function logRedis(client: Redis | Cluster, logger: Logger, stopping: AbortSignal): void {
  const reach = new ReachLog(logger, 'sends are refused until it can');
  client.on('close', () => {
    if (!stopping.aborted) reach.update(false);
  });
  client.on('ready', () => reach.update(true));
}
