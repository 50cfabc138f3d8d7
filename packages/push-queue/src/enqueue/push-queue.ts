import type { Redis } from 'ioredis';
import { type Lane, lanes } from '../lane.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { defaultRedisPrefix } from '../redis-keys.ts';
import { AppDirectory, type AppTraits } from './app-directory.ts';
import { Backlog } from './backlog.ts';
import { BatchEncoder } from './batch-encoder.ts';
import { type BatchCall, type BatchResult, BatchSends } from './batch-sends.ts';
import {
  type EncodedNotification,
  type EncodingContext,
  encodeNotification,
  parseTime,
} from './encode-notification.ts';
import { checkIdempotencyKey, fingerprintOf } from './idempotency-record.ts';
import { JobWriter } from './job-writer.ts';
import { invalidField, locateDefect } from './notification-defect.ts';
import {
  type BatchInput,
  type CallOptions,
  maxScheduleSeconds,
  type NotificationInput,
  type SendInput,
} from './notification-input.ts';
import { type SendResult, SingleSends } from './single-sends.ts';

export interface PushQueueOptions {
  /** A URL, or a client whose options are taken over; the queue opens connections of its own. */
  readonly redis: string | Redis;
  /** What all keys begin with. Default `pushfleet`. */
  readonly prefix?: string;
  /**
   * The apps that may be sent to, as in `pushfleet.yaml`: others are refused, and payloads are measured against the
   * limit of the app's transport. Absent: any app, and the limits of HTTP/2.
   */
  readonly apps?: Readonly<Record<string, AppTraits>>;
  /** Seconds that APNs may store a notification that says nothing about it. Default a day. */
  readonly defaultTtlSeconds?: number;
  /** How long an idempotency key is remembered, milliseconds. Default a day. */
  readonly idempotencyWindowMs?: number;
  /** How long a write to Redis may take, milliseconds; a call takes at most twice that. Default 5,000. */
  readonly writeTimeoutMs?: number;
  /** Bytes of payloads, and a little for each notification, that may wait to be written. Default 64 MiB. */
  readonly maxBacklogBytes?: number;
  readonly observer?: PushQueueObserver;
}

/** What happens inside, for metrics. */
export interface PushQueueObserver {
  /** Notifications were written: one push job of single sends, or a batch. Must not throw. */
  committed(app: string, lane: Lane, notifications: number, source: 'single' | 'batch'): void;
}

export const maxBatchNotifications = 5_000;

/** Memory that an encoded notification takes beside its payload, about. */
const notificationOverheadBytes = 300;

/** Enqueues notifications into Redis. */
export class PushQueue {
  readonly #options: PushQueueOptions;
  readonly #prefix: string;
  readonly #directory: AppDirectory;
  readonly #defaultTtlSeconds: number;
  readonly #idempotencyWindowMs: number;
  readonly #backlog: Backlog;
  readonly #writer: JobWriter;
  readonly #batchSends: BatchSends;
  readonly #singleSends = new Map<string, SingleSends>();
  readonly #runningBatches = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(options: PushQueueOptions) {
    this.#options = options;
    this.#prefix = options.prefix ?? defaultRedisPrefix;
    this.#directory = new AppDirectory(options.apps);
    this.#defaultTtlSeconds = options.defaultTtlSeconds ?? 86_400;
    this.#idempotencyWindowMs = options.idempotencyWindowMs ?? 86_400_000;
    this.#backlog = new Backlog(options.maxBacklogBytes ?? 64 * 1024 * 1024);
    this.#writer = new JobWriter({
      redis: options.redis,
      prefix: this.#prefix,
      writeTimeoutMs: options.writeTimeoutMs ?? 5_000,
    });
    this.#batchSends = new BatchSends({
      prefix: this.#prefix,
      writer: this.#writer,
      idempotencyWindowMs: this.#idempotencyWindowMs,
    });
  }

  /**
   * Enqueues one notification; those enqueued at the same time are written together. Resolves when Redis has it.
   * Rejects with `PushQueueError`.
   */
  async enqueue(input: SendInput): Promise<SendResult> {
    this.#checkOpen();
    const { app, lane: laneInput, sendAt, idempotencyKey, ...notification } = input;
    const call = this.#parseCall(input);
    const context = this.#contextOf(call);
    const encoded = located('', () => encodeNotification(notification, context));
    if (call.startMs !== undefined) {
      const { notificationIds, replayed } = await this.#writeBatch(call, [encoded]);
      return { notificationId: notificationIds[0]!, batchId: notificationIds[0]!, replayed };
    }
    const bytes = sizeOf(encoded);
    this.#backlog.take(bytes);
    try {
      const sends = this.#singleSendsOf(call.app, call.lane);
      return await (call.keyed === undefined
        ? sends.add(encoded)
        : sends.addKeyed(encoded, call.keyed.key, call.keyed.fingerprint));
    } finally {
      this.#backlog.release(bytes);
    }
  }

  /**
   * Enqueues 1 to `maxBatchNotifications` as a batch: all of them or none. Resolves when Redis has them. Rejects with
   * `PushQueueError`.
   */
  async enqueueBatch(input: BatchInput): Promise<BatchResult> {
    this.#checkOpen();
    const call = this.#parseCall(input);
    const { notifications, defaults = {} } = input;
    checkNotifications(notifications);
    const encoder = new BatchEncoder(defaults, this.#contextOf(call));
    const encoded = notifications.map((notification, place) =>
      located(`notifications[${place}].`, () => encoder.encode(notification)),
    );
    return this.#writeBatch(call, encoded);
  }

  /** Bytes that wait to be written. */
  get backlogBytes(): number {
    return this.#backlog.bytes;
  }

  /** Refuses new calls, waits for those that run, and closes the connections. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const singles = [...this.#singleSends.values()].map((sends) => sends.idle());
    await Promise.allSettled([...this.#runningBatches, ...singles]);
    await this.#writer.close();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new PushQueueError('closed', 'the push queue is closed');
  }

  async #writeBatch(call: BatchCall, notifications: readonly EncodedNotification[]): Promise<BatchResult> {
    const bytes = notifications.reduce((sum, notification) => sum + sizeOf(notification), 0);
    this.#backlog.take(bytes);
    const run = this.#batchSends.write(call, notifications);
    this.#runningBatches.add(run);
    try {
      const result = await run;
      if (!result.replayed) this.#committed(call.app, call.lane, notifications.length, 'batch');
      return result;
    } finally {
      this.#runningBatches.delete(run);
      this.#backlog.release(bytes);
    }
  }

  /** Checks what concerns the whole call. Throws `PushQueueError`. */
  #parseCall(input: CallOptions): BatchCall & { readonly traits: AppTraits } {
    const { app, lane = 'transactional', sendAt, idempotencyKey } = input;
    const traits = this.#directory.traitsOf(app);
    if (!lanes.includes(lane)) throw invalidField('lane', `must be one of ${lanes.join(', ')}`);
    const startMs = sendAt === undefined ? undefined : parseSendAt(sendAt);
    if (idempotencyKey === undefined) return { app, lane, startMs, keyed: undefined, traits };
    checkIdempotencyKey(idempotencyKey);
    const { idempotencyKey: key, ...rest } = input;
    return { app, lane, startMs, keyed: { key: idempotencyKey, fingerprint: fingerprintOf(rest) }, traits };
  }

  #contextOf(call: BatchCall & { readonly traits: AppTraits }): EncodingContext {
    return {
      traits: call.traits,
      startMs: call.startMs ?? Date.now(),
      defaultTtlSeconds: this.#defaultTtlSeconds,
    };
  }

  #singleSendsOf(app: string, lane: Lane): SingleSends {
    const name = `${app}/${lane}`;
    let sends = this.#singleSends.get(name);
    if (sends === undefined) {
      sends = new SingleSends({
        app,
        lane,
        prefix: this.#prefix,
        writer: this.#writer,
        idempotencyWindowMs: this.#idempotencyWindowMs,
        onCommit: (notifications) => this.#committed(app, lane, notifications, 'single'),
      });
      this.#singleSends.set(name, sends);
    }
    return sends;
  }

  #committed(app: string, lane: Lane, notifications: number, source: 'single' | 'batch'): void {
    this.#options.observer?.committed(app, lane, notifications, source);
  }
}

/** Opens no connection before it has to; never waits for Redis. */
export function createPushQueue(options: PushQueueOptions): PushQueue {
  return new PushQueue(options);
}

function located<T>(path: string, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    throw locateDefect(error, path);
  }
}

function checkNotifications(notifications: readonly NotificationInput[]): void {
  if (!Array.isArray(notifications)) throw invalidField('notifications', 'must be an array');
  if (notifications.length === 0 || notifications.length > maxBatchNotifications) {
    throw invalidField('notifications', `must be 1 to ${maxBatchNotifications}, not ${notifications.length}`);
  }
}

/** Undefined: the time has come already. */
function parseSendAt(sendAt: unknown): number | undefined {
  const startMs = parseTime('sendAt', sendAt);
  const nowMs = Date.now();
  if (startMs > nowMs + maxScheduleSeconds * 1000) throw invalidField('sendAt', 'is more than 30 days ahead');
  return startMs <= nowMs ? undefined : startMs;
}

function sizeOf(notification: EncodedNotification): number {
  return notification.payload.length + notificationOverheadBytes;
}
