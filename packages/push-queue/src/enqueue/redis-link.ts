import type { Redis } from 'ioredis';
import { outliveLateErrors } from '../late-errors.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { createRedisClient, type RedisClientOptions } from '../redis-client.ts';

/**
 * Nothing is kept for later and nothing is sent twice by the client: a command goes out on a connection that is up,
 * or fails. What was refused must not be stored after all when Redis comes back, and an EXEC must not follow its
 * WATCH on another connection.
 */
const linkOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: 5_000,
  disconnectTimeout: 500,
  keepAlive: 30_000,
  // Full jitter, so that a fleet does not come back in step.
  retryStrategy: (attempt: number) => 50 + Math.random() * Math.min(2_000, 100 * 2 ** Math.min(attempt, 10)),
} satisfies RedisClientOptions;

export interface RedisLinkOptions {
  /** Whether commands follow keys that move to another node of a cluster. A transaction that watches them must not. */
  readonly followsMoves?: boolean;
}

/** A connection to Redis with deadlines. */
export class RedisLink {
  /** Of one server, or of a cluster, which takes the same commands: those of one app go to one node. */
  readonly client: Redis;
  #lastError: Error | undefined;
  #connectionCount = 0;
  /** The connection has been given up, and the client has not noticed its end yet. */
  #givenUp = false;

  /** `source`: a URL, or a client whose options are taken over; the client itself is not used. */
  constructor(
    source: string | Redis,
    connectionName: string,
    { followsMoves = true }: RedisLinkOptions = {},
  ) {
    const options = { ...linkOptions, connectionName };
    this.client =
      typeof source === 'string'
        ? (createRedisClient(source, { ...options, followsMoves }) as Redis)
        : outliveLateErrors(source.duplicate({ ...options, lazyConnect: false }));
    // A cluster says only that none of its nodes could be asked; the reason stands beside it.
    this.client.on('error', (error: Error & { lastNodeError?: Error }) => {
      this.#lastError = error.lastNodeError ?? error;
    });
    this.client.on('close', () => {
      this.#connectionCount += 1;
      this.#givenUp = false;
    });
    this.client.on('ready', () => {
      this.#lastError = undefined;
    });
  }

  get isReady(): boolean {
    return this.client.status === 'ready' && !this.#givenUp;
  }

  /** Rises whenever a connection ends: the same number means the same connection. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Waits until commands can be sent. Throws `PushQueueError` `redis-unavailable` after `timeoutMs`. */
  async ready(timeoutMs: number): Promise<void> {
    if (timeoutMs <= 0) throw tooLate();
    if (this.isReady) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.client.once('ready', resolve);
    this.client.once('end', resolve);
    await promise;
    clearTimeout(timer);
    this.client.off('ready', resolve);
    this.client.off('end', resolve);
    if (this.isReady) return;
    const reason = this.#lastError?.message ?? `is ${this.client.status}`;
    throw new PushQueueError('redis-unavailable', `Redis cannot be reached: ${reason}`, {
      cause: this.#lastError,
    });
  }

  /**
   * Waits for the answer to what `send` sends. When none comes within `timeoutMs`, the connection is given up, so that
   * what still lies in its buffers goes with it. Throws `PushQueueError`.
   */
  async answer<T>(timeoutMs: number, send: () => Promise<T>): Promise<T> {
    if (timeoutMs <= 0) throw tooLate();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(
        new PushQueueError('redis-timeout', 'Redis has not answered in time', { maybeStored: true }),
      );
      this.reset();
    }, timeoutMs);
    try {
      return await Promise.race([send(), late.promise]);
    } catch (error) {
      if (neverSent(error)) this.#givenUp = true;
      // Asks the cluster anew where everything lies.
      if (hasMoved(error)) this.reset();
      throw asPushQueueError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Breaks the connection; a new one is made. */
  reset(): void {
    this.#givenUp = true;
    this.client.disconnect(true);
  }

  async close(): Promise<void> {
    if (this.isReady) {
      const force = setTimeout(() => this.client.disconnect(), 1_000);
      await this.client.quit().catch(() => undefined);
      clearTimeout(force);
    }
    this.client.disconnect();
  }
}

function tooLate(): PushQueueError {
  return new PushQueueError('redis-timeout', 'there was not enough time to write to Redis');
}

/** The connection had ended already when the command came. */
export function neverSent(error: unknown): boolean {
  const cause = error instanceof PushQueueError ? error.cause : error;
  return cause instanceof Error && /^(Stream isn't writeable|Cluster isn't ready)/.test(cause.message);
}

/** A node of a cluster refused the command, since another one holds the key. */
function hasMoved(error: unknown): boolean {
  return error instanceof Error && /^(MOVED|ASK|Too many Cluster redirections)\b/.test(error.message);
}

/** Redis refused the command. */
const refused =
  /^(MOVED|ASK|TRYAGAIN|Too many Cluster redirections|OOM|READONLY|LOADING|MASTERDOWN|NOAUTH|NOPERM|MISCONF|NOREPLICAS|EXECABORT|CLUSTERDOWN)\b/;

export function asPushQueueError(error: unknown): PushQueueError {
  if (error instanceof PushQueueError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new PushQueueError('redis-unavailable', `Redis: ${message}`, {
    cause: error,
    maybeStored: !neverSent(error) && !refused.test(message),
  });
}
