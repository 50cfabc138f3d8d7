import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { PushQueueError } from '@pushfleet/push-queue';
import { type Broadcast, type Lease, TokenStoreError } from '@pushfleet/token-store';
import type { DatabaseLink } from '../database-link.ts';
import { FanOut, type FanOutOptions } from './fan-out.ts';
import { finishCancelling, settleChunk } from './settle-chunk.ts';

export interface BroadcastRunnerOptions extends Omit<FanOutOptions, 'broadcasts' | 'lease'> {
  readonly database: DatabaseLink;
  readonly leaseMs?: number;
  /** How often to look for broadcasts that nobody runs, milliseconds. */
  readonly pollMs?: number;
  /** How many to run at once. */
  readonly concurrency?: number;
}

/**
 * Runs the fan-out of broadcasts: those of this process and those that another one has left. A lease in Postgres lets
 * one process run a broadcast at a time; that nothing is sent twice does not hang on it.
 */
export class BroadcastRunner {
  readonly #options: BroadcastRunnerOptions;
  readonly #owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #abort = new AbortController();
  readonly #loops: readonly Promise<void>[];
  #wake = Promise.withResolvers<void>();

  constructor(options: BroadcastRunnerOptions) {
    this.#options = options;
    this.#loops = Array.from({ length: options.concurrency ?? 2 }, () => this.#loop());
  }

  /** There is something to run. */
  wake(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Ends after the chunk at hand, and leaves the rest to whoever comes next. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.wake();
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const hasRun = await this.#runOne();
      if (hasRun || signal.aborted) continue;
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.pollMs ?? 1_000);
    void this.#wake.promise.then(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** False: there was nothing to run. */
  async #runOne(): Promise<boolean> {
    const { database, logger, leaseMs = 5_000 } = this.#options;
    if (database.state !== 'ready') return false;
    const { broadcasts } = database.store;
    const lease = { owner: this.#owner, leaseMs };
    let broadcast: Broadcast | undefined;
    try {
      while (await this.#settleOne(lease));
      broadcast = await broadcasts.claim(lease);
      if (broadcast === undefined) return false;
      const { id, app } = broadcast;
      logger.info({ app, broadcast: id, chunk: broadcast.chunk }, 'broadcast is run');
      await new FanOut(broadcast, { ...this.#options, broadcasts, lease }, this.#abort.signal).run();
      await broadcasts.release(id, this.#owner);
      return true;
    } catch (err) {
      const facts = { app: broadcast?.app, broadcast: broadcast?.id, err };
      if (err instanceof TokenStoreError) {
        logger.warn(facts, 'broadcasts pause until Postgres answers');
        return false;
      }
      if (err instanceof PushQueueError && err.code === 'closed') return true;
      logger.error(facts, 'a broadcast has failed');
      if (broadcast === undefined) return false;
      await this.#fail(broadcast.id, messageOf(err)).catch(() => undefined);
      return true;
    }
  }

  /** Where it fails, another tries again when the lease is over. */
  async #fail(id: string, message: string): Promise<void> {
    const { database, queue } = this.#options;
    const { broadcasts } = database.store;
    // A chunk of which no answer came may be in the queue.
    const broadcast = await broadcasts.get(id);
    if (broadcast !== undefined) await settleChunk(broadcast, 'renounce', { queue, broadcasts });
    await broadcasts.fail(id, this.#owner, message);
  }

  /** Finishes what another has begun: a cancellation, a chunk of one that is paused. False: there was nothing. */
  async #settleOne(lease: Lease): Promise<boolean> {
    const { database, queue, redis, logger } = this.#options;
    const { broadcasts } = database.store;
    const broadcast = await broadcasts.claimUnsettled(lease);
    if (broadcast === undefined) return false;
    const { id, app, state } = broadcast;
    try {
      if (state === 'cancelling') await finishCancelling(broadcast, { queue, redis, broadcasts });
      else await settleChunk(broadcast, 'recall', { queue, broadcasts });
      await broadcasts.release(id, this.#owner);
      return true;
    } catch (err) {
      if (err instanceof TokenStoreError) throw err;
      logger.warn({ app, broadcast: id, err }, 'a broadcast could not be finished; trying again');
      return false;
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof PushQueueError ? error.message : 'something went wrong, and is logged';
}
