import { setTimeout as delay } from 'node:timers/promises';
import type { Tracer } from '@opentelemetry/api';
import {
  type Lane,
  type PushQueue,
  PushQueueError,
  redisTroubleOf,
  type TokensInput,
} from '@pushfleet/push-queue';
import { readQueueDepth, type StatusOptions } from '@pushfleet/push-queue/status';
import { backoffMs, type Logger } from '@pushfleet/service-kit';
import type { AudienceColumns, Broadcast, Broadcasts, Lease } from '@pushfleet/token-store';
import type { RedisRoom } from '../redis-room.ts';
import { withinChunkSpan } from '../tracing/within-chunk-span.ts';
import { chunkKey, chunkMemoryMs } from './settle-chunk.ts';

// One broadcast from where it stands to its end. Each step: the run of keys of the next chunk is written down, the
// chunk is enqueued under a key of its own, and its end is written down together with the run of the one after it.
// Whoever takes over after a crash enqueues the chunk that was written down under the same key: it is there once.
// The next chunk is read while this one is enqueued; there are never more than two in memory.

export interface FanOutOptions {
  readonly broadcasts: Broadcasts;
  readonly queue: PushQueue;
  readonly redis: StatusOptions;
  readonly lease: Lease;
  readonly logger: Logger;
  /** Rows of the device table that make a chunk. */
  readonly chunkRows: number;
  /** While more push jobs than this wait in the lane, nothing is added. */
  readonly maxWaitingJobs: number;
  /** While Redis has no room, nothing is added either; absent: it always has. */
  readonly room?: Pick<RedisRoom, 'isFull'> | undefined;
  /** Undefined: traces are off. */
  readonly tracer?: Tracer | undefined;
  /** Told of devices that have been enqueued. */
  readonly onDevices: (app: string, devices: number) => void;
}

const retryMs = { first: 200, most: 5_000 };

export class FanOut {
  readonly #options: FanOutOptions;
  readonly #broadcast: Broadcast;
  readonly #signal: AbortSignal;
  /** Devices a millisecond, where the fan-out is spread. */
  #rate: number | undefined;
  #chunk: number;

  constructor(broadcast: Broadcast, options: FanOutOptions, signal: AbortSignal) {
    this.#broadcast = broadcast;
    this.#options = options;
    this.#signal = signal;
    this.#chunk = broadcast.chunk;
  }

  /**
   * Runs it until it ends, is paused or cancelled, the lease is lost, or the signal says so.
   * Throws `PushQueueError` for what cannot be sent at all, and `TokenStoreError`.
   */
  async run(): Promise<void> {
    const { id, afterToken, pendingToken } = this.#broadcast;
    const { broadcasts, lease } = this.#options;
    await this.#setRate();
    const page = await this.#read(afterToken, pendingToken ?? undefined);
    if (pendingToken === null) {
      if (page.last === undefined) {
        await this.#commit(afterToken, undefined, undefined);
        return;
      }
      if (!(await broadcasts.intend(id, lease.owner, this.#chunk, page.last))) return;
    }
    await this.#runFrom(page, pendingToken ?? undefined);
  }

  async #runFrom(first: AudienceColumns, resumed: Buffer | undefined): Promise<void> {
    let page = first;
    let last = resumed ?? first.last!;
    for (let isResumed = resumed !== undefined; ; isResumed = false) {
      const reading = page.exhausted ? undefined : this.#read(last);
      // It is awaited below; what fails before must not leave it unhandled.
      reading?.catch(() => undefined);
      const done = await this.#enqueue(page, isResumed);
      if (done === 'stopped') return;
      const next = await reading;
      const isGoingOn = await this.#commit(last, done, next?.last);
      if (!isGoingOn || next?.last === undefined) return;
      this.#chunk += 1;
      page = next;
      last = next.last;
      if (!(await this.#pace(done?.count ?? 0))) return;
    }
  }

  /** Undefined: nobody of the audience is in it. */
  async #enqueue(
    page: AudienceColumns,
    isResumed: boolean,
  ): Promise<{ batch: string; count: number } | undefined | 'stopped'> {
    const { id, app } = this.#broadcast;
    const { queue, onDevices } = this.#options;
    const key = chunkKey(id, this.#chunk);
    for (let attempt = 0; ; attempt++) {
      try {
        const earlier = isResumed ? await queue.recall(app, key, key, { isOwn: true }) : undefined;
        if (earlier === undefined && page.count === 0) return undefined;
        if (!(await this.#roomInQueue())) return 'stopped';
        const sent = earlier ?? (await this.#send(page, key));
        // It was cancelled before it could be enqueued.
        if (sent.count === 0) return undefined;
        if (!sent.replayed) onDevices(app, sent.count);
        return { batch: sent.batchId, count: sent.count };
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (attempt === 0) {
          this.#options.logger.warn(
            { app, broadcast: id, err: error },
            'the queue accepts nothing; trying again',
          );
        }
        if (!(await this.#wait(backoffMs(attempt, retryMs.first, retryMs.most)))) return 'stopped';
      }
    }
  }

  #send(page: AudienceColumns, key: string) {
    const { app, lane, delivery } = this.#broadcast;
    const input: TokensInput = {
      ...delivery,
      app,
      lane: lane as Lane,
      tokens: page.tokens,
      tokenLength: page.tokenLength,
      idempotencyKey: key,
    };
    const { queue, tracer } = this.#options;
    const recall = { fingerprint: key, idempotencyWindowMs: chunkMemoryMs, isOwn: true };
    const send = () => queue.enqueueTokens(input, recall);
    return tracer === undefined ? send() : withinChunkSpan(tracer, this.#broadcast, this.#chunk, send);
  }

  /** False: it is not to go on. */
  async #commit(
    lastToken: Buffer,
    done: { batch: string; count: number } | undefined,
    nextPending: Buffer | undefined,
  ): Promise<boolean> {
    const { broadcasts, lease } = this.#options;
    const state = await broadcasts.commit(this.#broadcast.id, lease, {
      chunk: this.#chunk,
      lastToken,
      batch: done?.batch,
      count: done?.count ?? 0,
      nextPending,
    });
    return state === 'running' && !this.#signal.aborted;
  }

  #read(after: Buffer, upTo?: Buffer): Promise<AudienceColumns> {
    const { app, audience } = this.#broadcast;
    const { broadcasts, queue } = this.#options;
    // A chunk that is larger than the app's quota would wait for ever.
    const chunkRows = Math.min(
      this.#options.chunkRows,
      queue.quotaOf(app)?.maxNotifications ?? Number.POSITIVE_INFINITY,
    );
    const second = this.#rate === undefined ? chunkRows : Math.ceil(this.#rate * 1_000);
    const scan = upTo === undefined ? Math.min(chunkRows, Math.max(100, second)) : 50_000;
    return broadcasts.readAudience({ app, audience, after, upTo, scan });
  }

  /** Where it is spread over a time, the audience is counted first. */
  async #setRate(): Promise<void> {
    const { id, app, audience, spreadOverMs, devices } = this.#broadcast;
    if (spreadOverMs === null || spreadOverMs === 0) return;
    const { broadcasts, lease } = this.#options;
    const counted = devices ?? (await broadcasts.countAudience(app, audience));
    if (devices === null) await broadcasts.setDevices(id, lease.owner, counted);
    this.#rate = Math.max(counted, 1) / spreadOverMs;
  }

  async #pace(count: number): Promise<boolean> {
    if (this.#rate === undefined) return true;
    return this.#wait(count / this.#rate);
  }

  /** A backlog in Redis is memory: beyond a bound the fan-out waits for the workers. */
  async #roomInQueue(): Promise<boolean> {
    const { app, lane } = this.#broadcast;
    const { redis, maxWaitingJobs, room } = this.#options;
    for (;;) {
      const depth = await readQueueDepth(redis, app);
      if (room?.isFull !== true && depth.lanes[lane as Lane].wait < maxWaitingJobs) return true;
      if (!(await this.#wait(1_000))) return false;
    }
  }

  /** Waits, and keeps the lease meanwhile. False: it is not to go on. */
  async #wait(ms: number): Promise<boolean> {
    const { broadcasts, lease } = this.#options;
    const untilMs = performance.now() + ms;
    for (;;) {
      const leftMs = untilMs - performance.now();
      const sliceMs = Math.min(Math.max(leftMs, 0), lease.leaseMs / 5);
      await delay(sliceMs, undefined, { signal: this.#signal }).catch(() => undefined);
      if (this.#signal.aborted) return false;
      if ((await broadcasts.renew(this.#broadcast.id, lease)) === undefined) return false;
      if (leftMs <= sliceMs) return true;
    }
  }
}

function isTransient(error: unknown): boolean {
  if (!(error instanceof PushQueueError)) return redisTroubleOf(error) !== undefined;
  return ['backpressure', 'quota-exceeded', 'redis-unavailable', 'redis-timeout'].includes(error.code);
}
