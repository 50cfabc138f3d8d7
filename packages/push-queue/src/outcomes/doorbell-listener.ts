import { Redis, type RedisOptions } from 'ioredis';
import { defaultRedisPrefix, doorbellChannel } from '../redis-keys.ts';

export interface DoorbellListenerOptions {
  /** A URL, or a client whose options are taken over. */
  readonly redis: string | Redis;
  readonly prefix?: string;
  /** What is rung for, after the app: `outcomes`, `control` or a lane. */
  readonly ring: string;
  readonly onRing: (app: string) => void;
}

/**
 * Hears the doorbell. Rings get lost while the connection is down: whoever listens also looks from time to time.
 */
export class DoorbellListener {
  readonly #client: Redis;

  constructor(options: DoorbellListenerOptions) {
    const linkOptions = {
      connectionName: 'pushfleet:doorbell',
      connectTimeout: 5_000,
      disconnectTimeout: 500,
      keepAlive: 30_000,
      maxRetriesPerRequest: null,
      retryStrategy: (attempt: number) =>
        50 + Math.random() * Math.min(2_000, 100 * 2 ** Math.min(attempt, 10)),
    } satisfies RedisOptions;
    this.#client =
      typeof options.redis === 'string'
        ? new Redis(options.redis, linkOptions)
        : options.redis.duplicate({ ...linkOptions, lazyConnect: false });
    // It comes back by itself, and subscribes again.
    this.#client.on('error', () => undefined);
    const suffix = `/${options.ring}`;
    this.#client.on('message', (_channel: string, message: string) => {
      if (message.endsWith(suffix)) options.onRing(message.slice(0, -suffix.length));
    });
    this.#client.subscribe(doorbellChannel(options.prefix ?? defaultRedisPrefix)).catch(() => undefined);
  }

  close(): void {
    this.#client.disconnect();
  }
}
