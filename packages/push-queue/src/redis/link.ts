import { setTimeout } from 'node:timers/promises';
import { Cluster, Command, type Redis } from 'ioredis';
import { PushQueueError } from '../push-queue-error.ts';
import { messageWithoutArguments } from '../strip-arguments.ts';
import { createRedisClient, isOfAnotherRole, type RedisClientOptions, reconnectDelayMs } from './client.ts';
import { outliveLateErrors } from './late-errors.ts';
import { isRefusal, redisTroubleOf } from './trouble.ts';

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
  retryStrategy: reconnectDelayMs,
} satisfies RedisClientOptions;

export interface RedisLinkOptions {
  /** Whether commands follow keys that move to another node of a cluster. A transaction that watches them must not. */
  readonly followsMoves?: boolean;
  /** Whether the client subscribes again by itself on a new connection. Default: it does. */
  readonly autoResubscribe?: boolean;
}

/** Between two looks at a node that is being connected, or at where the slots of a cluster lie, milliseconds. */
const nodePauseMs = 10;
/** How long a refusal that is about the connection counts against it when no later answer says better, milliseconds. */
const refusalLifeMs = 5_000;

/** A connection to Redis with deadlines. */
export class RedisLink {
  /** Of one server, or of a cluster, which takes the same commands: those of one app go to one node. */
  readonly client: Redis;
  readonly #cluster: Cluster | undefined;
  #lastError: Error | undefined;
  #connectionCount = 0;
  /** The connection has been given up, and the client has not noticed its end yet. */
  #givenUp = false;
  /** Why the last command was refused that a server which writes would have taken, and when. */
  #refusal: { readonly error: Error; readonly atMs: number } | undefined;

  /** `source`: a URL, or a client whose options are taken over; the client itself is not used. */
  constructor(
    source: string | Redis,
    connectionName: string,
    { followsMoves = true, ...more }: RedisLinkOptions = {},
  ) {
    const options = { ...linkOptions, ...more, connectionName };
    this.client =
      typeof source === 'string'
        ? (createRedisClient(source, { ...options, followsMoves }) as Redis)
        : outliveLateErrors(
            source.duplicate({ ...options, lazyConnect: false, reconnectOnError: isOfAnotherRole }),
          );
    const either = this.client as Redis | Cluster;
    this.#cluster = either instanceof Cluster ? either : undefined;
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
      this.#givenUp = false;
    });
    // A cluster is up while some of its nodes come and go.
    this.#cluster?.on('+node', (node: Redis) => {
      node.on('close', () => {
        this.#connectionCount += 1;
      });
    });
  }

  /** Whether commands can be sent. */
  get isReady(): boolean {
    return this.client.status === 'ready' && !this.#givenUp;
  }

  /** Why writes are refused on this connection, though it is up; undefined: they are not, as far as is known. */
  get refusal(): string | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined || performance.now() - refusal.atMs > refusalLifeMs) return undefined;
    return refusal.error.message;
  }

  /** Rises whenever a connection ends: the same number means the same connection. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /**
   * Waits until commands can be sent; with a key, to the node of a cluster that has it. Throws `PushQueueError`
   * `redis-unavailable` after `timeoutMs`.
   */
  async ready(timeoutMs: number, key?: string): Promise<void> {
    if (timeoutMs <= 0) throw tooLate();
    const deadlineMs = performance.now() + timeoutMs;
    if (!this.isReady) await this.#untilReady(timeoutMs);
    if (this.#cluster === undefined || key === undefined) return;
    const slot = new Command('get', [key]).getSlot();
    // A cluster refuses commands to a node that it is just connecting to.
    for (
      let node = this.#nodeOf(slot);
      node !== undefined && node.status !== 'ready';
      node = this.#nodeOf(slot)
    ) {
      if (node.status === 'wait') node.connect().catch(() => undefined);
      if (performance.now() >= deadlineMs) throw this.#unavailable(`node is ${node.status}`);
      await setTimeout(nodePauseMs);
    }
  }

  /**
   * Waits for the answer to what `send` sends. When none comes within `timeoutMs`, the connection is given up, so that
   * what still lies in its buffers goes with it. Throws `PushQueueError`.
   */
  async answer<T>(timeoutMs: number, send: () => Promise<T>): Promise<T> {
    if (timeoutMs <= 0) throw tooLate();
    const late = Promise.withResolvers<never>();
    const timer = globalThis.setTimeout(() => {
      late.reject(
        new PushQueueError('redis-timeout', 'Redis has not answered in time', { maybeStored: true }),
      );
      this.reset();
    }, timeoutMs);
    try {
      return await Promise.race([send(), late.promise]);
    } catch (error) {
      this.heed(error);
      throw asPushQueueError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Draws the conclusions of an error reply for the connection: one that is about it alone ends it. */
  heed(error: unknown): void {
    const trouble = redisTroubleOf(error);
    if (trouble === 'not-sent' && this.#cluster === undefined) this.#givenUp = true;
    if (trouble === 'role' || trouble === 'rights') {
      this.#refusal = { error: error as Error, atMs: performance.now() };
    }
    // What the cluster knows of its slots is no longer so.
    if (trouble === 'moved' || (trouble === 'role' && this.#cluster !== undefined)) {
      this.#cluster?.refreshSlotsCache();
    } else if (trouble === 'role') {
      this.reset();
    }
  }

  /** A write was taken: whatever was refused before, this connection writes. */
  wrote(): void {
    this.#refusal = undefined;
  }

  /** Breaks the connection; a new one is made. */
  reset(): void {
    this.#givenUp = true;
    this.client.disconnect(true);
  }

  async close(): Promise<void> {
    if (this.isReady) {
      const force = globalThis.setTimeout(() => this.client.disconnect(), 1_000);
      await this.client.quit().catch(() => undefined);
      clearTimeout(force);
    }
    this.client.disconnect();
  }

  async #untilReady(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = globalThis.setTimeout(resolve, timeoutMs);
    this.client.once('ready', resolve);
    this.client.once('end', resolve);
    await promise;
    clearTimeout(timer);
    this.client.off('ready', resolve);
    this.client.off('end', resolve);
    if (!this.isReady) throw this.#unavailable(`is ${this.client.status}`);
  }

  /** The node that holds a slot, as far as the cluster has told. */
  #nodeOf(slot: number): Redis | undefined {
    const address = this.#cluster?.slots[slot]?.[0];
    return this.#cluster?.nodes().find(({ options: { host, port } }) => address === `${host}:${port}`);
  }

  #unavailable(state: string): PushQueueError {
    const reason = this.#lastError === undefined ? state : messageWithoutArguments(this.#lastError);
    return new PushQueueError('redis-unavailable', `Redis cannot be reached: ${reason}`, {
      cause: this.#lastError,
    });
  }
}

function tooLate(): PushQueueError {
  return new PushQueueError('redis-timeout', 'there was not enough time to write to Redis');
}

/** The connection had ended already when the command came. */
export function neverSent(error: unknown): boolean {
  return redisTroubleOf(error) === 'not-sent';
}

export function asPushQueueError(error: unknown): PushQueueError {
  if (error instanceof PushQueueError) return error;
  return new PushQueueError('redis-unavailable', `Redis: ${messageWithoutArguments(error)}`, {
    cause: error,
    maybeStored: !isRefusal(redisTroubleOf(error)),
  });
}
