import type { Lane } from '../lane.ts';
import { createBatchId, notificationId } from '../notification-id.ts';
import type { BatchSource, EncodedNotification } from '../push-job/encode.ts';
import { PushQueueError } from '../push-queue-error.ts';
import type { AppQuota } from '../quota.ts';
import { defaultRedisPrefix, idempotencyRecordKey } from '../redis/keys.ts';
import { isSampled } from '../traceparent.ts';
import { BatchEncoder, checkBatchInput } from './batch-encoder.ts';
import {
  type BatchResult,
  type BatchWriteOptions,
  replayOf,
  reserveKey,
  type TokensResult,
  withNotificationIds,
  writeBatch,
} from './batch-sends.ts';
import {
  besideContent,
  type EncodingContext,
  encodeDelivery,
  encodedBytes,
  encodeNotification,
  type KnownApps,
  type ParsedCall,
  parseCall,
  traitsOf,
} from './encode.ts';
import { recordNameOf } from './idempotency-record.ts';
import { JobWriter } from './job-writer.ts';
import { locateDefect, located, type PathOf } from './notification-defect.ts';
import type {
  BatchDraft,
  BatchInput,
  BatchOptions,
  CallOptions,
  NotificationDefaults,
  RecallOptions,
  SendInput,
  TokensInput,
} from './notification-input.ts';
import type { EnqueueSource, PushQueueOptions } from './push-queue-options.ts';
import { Backlog, type SendResult, SingleSends } from './single-sends.ts';
import { checkTokens, digestOf } from './token-columns.ts';

/** Enqueues notifications into Redis. */
export class PushQueue {
  readonly #options: PushQueueOptions;
  readonly #prefix: string;
  readonly #apps: KnownApps;
  readonly #defaultTtlSeconds: number;
  readonly #writes: BatchWriteOptions;
  readonly #backlog: Backlog;
  readonly #writer: JobWriter;
  readonly #singleSends = {
    transactional: new Map<string, SingleSends>(),
    bulk: new Map<string, SingleSends>(),
  } satisfies Record<Lane, unknown>;
  readonly #runningBatches = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(options: PushQueueOptions) {
    this.#options = options;
    this.#prefix = options.prefix ?? defaultRedisPrefix;
    this.#apps = options.apps && new Map(Object.entries(options.apps));
    this.#defaultTtlSeconds = options.defaultTtlSeconds ?? 86_400;
    this.#backlog = new Backlog(options.maxBacklogBytes ?? 64 * 1024 * 1024);
    this.#writer = new JobWriter({
      redis: options.redis,
      prefix: this.#prefix,
      writeTimeoutMs: options.writeTimeoutMs ?? 5_000,
      quotaOf: (app) => this.quotaOf(app),
    });
    const { idempotencyWindowMs = 86_400_000 } = options;
    this.#writes = { writer: this.#writer, prefix: this.#prefix, idempotencyWindowMs };
  }

  /**
   * Enqueues one notification; those enqueued at the same time are written together. Resolves when Redis has it.
   * Rejects with `PushQueueError`.
   */
  enqueue(input: SendInput): Promise<SendResult> {
    // Not an async function: its frame would be a fifth of what a call allocates.
    try {
      this.#checkOpen();
      const call = parseCall(this.#apps, input, input);
      let encoded = encodeNotification(input, this.#contextOf(call), besideContent.call);
      if (call.startMs !== undefined) return this.#enqueueScheduled(call, encoded);
      const traceparent = this.#traceparent();
      if (traceparent !== undefined) encoded = { ...encoded, traceparent };
      const sends = this.#ensureSingleSends(call.app, call.lane);
      return call.keyed === undefined
        ? sends.add(encoded)
        : sends.addKeyed(encoded, call.keyed.recordName, call.keyed.fingerprint);
    } catch (error) {
      return Promise.reject(locateDefect(error, inCall));
    }
  }

  async #enqueueScheduled(call: ParsedCall, encoded: EncodedNotification): Promise<SendResult> {
    const { batchId, replayed } = await this.#writeBatch(call, [encoded]);
    const id = notificationId(batchId, 1);
    return { notificationId: id, batchId: id, replayed };
  }

  /**
   * Enqueues 1 to `maxBatchNotifications` as a batch: all of them or none. Resolves when Redis has them. Rejects with
   * `PushQueueError`.
   */
  async enqueueBatch(input: BatchInput, options: BatchOptions = {}): Promise<BatchResult> {
    this.#checkOpen();
    const call = parseCall(this.#apps, input, input, options);
    const { notifications, defaults = {} } = input;
    checkBatchInput(notifications, defaults);
    const encoded = await new BatchEncoder(defaults, this.#contextOf(call)).encodeAll(notifications);
    this.#checkOpen();
    return withNotificationIds(await this.#writeBatch(call, encoded));
  }

  /**
   * Enqueues one payload for 1 to `maxTokensPerCall` devices as a batch: all of them or none. The way for broadcasts:
   * tokens are bytes from end to end, and no object is made per device. Resolves when Redis has them. Rejects with
   * `PushQueueError`.
   */
  async enqueueTokens(input: TokensInput, recall: RecallOptions = {}): Promise<TokensResult> {
    this.#checkOpen();
    const { app, lane, sendAt, idempotencyKey, tokens, tokenLength, ...defaults } = input;
    const checked = checkTokens(input);
    // The bytes' hash stands for them, where the call is compared with an earlier one.
    const identity = { app, lane, sendAt, ...defaults, tokens: digestOf(input) };
    const call = parseCall(this.#apps, input, identity, recall);
    const delivery = located(inCall, () => encodeDelivery(defaults, this.#contextOf(call)));
    const bytes = checked.bytes.length + delivery.payloadBytes * Math.ceil(checked.count / 1000);
    const size = { count: checked.count, bytes, source: 'tokens' } as const;
    return this.#writeJobs(call, size, { kind: 'tokens', tokens: checked, delivery });
  }

  /**
   * Checks what is to be sent to many devices later, as `enqueueTokens` would. Gives when it may be sent from on, epoch
   * milliseconds. Throws `PushQueueError`.
   */
  checkDelivery(options: CallOptions, delivery: NotificationDefaults): number {
    const call = parseCall(this.#apps, options, options);
    const context = this.#contextOf(call);
    located(inCall, () => encodeDelivery(delivery, context));
    return context.startMs;
  }

  /**
   * Checks a batch as `enqueueBatch` would, but for the device tokens: for callers that have to look them up first. Gives
   * when it may be sent from on, epoch milliseconds. Throws `PushQueueError`.
   */
  checkBatch(input: BatchDraft): number {
    const call = parseCall(this.#apps, input, input);
    const { notifications, defaults = {} } = input;
    checkBatchInput(notifications, defaults);
    const context = this.#contextOf(call);
    new BatchEncoder(defaults, context).checkAll(notifications);
    return context.startMs;
  }

  /**
   * What an earlier call with this key was answered; undefined: there was none. For callers that have to look
   * something up before they can call again. Rejects with `PushQueueError`.
   */
  async recall(
    app: string,
    idempotencyKey: string,
    fingerprint: string,
    options: Pick<RecallOptions, 'isOwn'> = {},
  ): Promise<TokensResult | undefined> {
    this.#checkOpen();
    traitsOf(this.#apps, app);
    const recordName = recordNameOf(idempotencyKey, options);
    const stored = await this.#writer.read(idempotencyRecordKey(this.#prefix, app, recordName));
    return stored === null ? undefined : replayOf(stored, { recordName, fingerprint });
  }

  /**
   * Reserves the key, so that later calls with it enqueue nothing: their answer has a count of 0 and `replayed`.
   * Returns the answer of an earlier call with this key; undefined when there was none. Rejects with `PushQueueError`.
   */
  async renounce(
    app: string,
    key: string,
    recall: RecallOptions & Required<Pick<RecallOptions, 'fingerprint' | 'idempotencyWindowMs'>>,
  ): Promise<TokensResult | undefined> {
    const earlier = await this.reserve(app, key, { ...recall, batchId: createBatchId() });
    return earlier.count === 0 ? undefined : earlier;
  }

  /**
   * Keeps a key for a batch that is enqueued later, in another way: calls with it are answered with a count of 0 and the
   * note. Gives what an earlier call was answered (`replayed`), or what those that follow will be. Rejects with
   * `PushQueueError`.
   */
  async reserve(
    app: string,
    key: string,
    options: BatchOptions & Required<Pick<BatchOptions, 'batchId' | 'fingerprint'>>,
  ): Promise<TokensResult> {
    this.#checkOpen();
    traitsOf(this.#apps, app);
    const recordName = recordNameOf(key, options);
    const { fingerprint, batchId, note, idempotencyWindowMs: windowMs } = options;
    return reserveKey(this.#writes, app, { recordName, fingerprint, windowMs, note }, batchId);
  }

  /** What an app may have in its queues, as far as anything is said of it. */
  quotaOf(app: string): AppQuota | undefined {
    return this.#apps?.get(app)?.queue ?? this.#options.quota;
  }

  /** Why Redis takes no writes, though it can be reached; undefined: it does, as far as is known. */
  get refusal(): string | undefined {
    return this.#writer.refusal;
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
    const { transactional, bulk } = this.#singleSends;
    const singles = [...transactional.values(), ...bulk.values()].map((sends) => sends.idle());
    await Promise.allSettled([...this.#runningBatches, ...singles]);
    await this.#writer.close();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new PushQueueError('closed', 'the push queue is closed');
  }

  async #writeBatch(call: ParsedCall, notifications: readonly EncodedNotification[]): Promise<TokensResult> {
    const bytes = notifications.reduce((sum, notification) => sum + encodedBytes(notification), 0);
    const size = { count: notifications.length, bytes, source: 'batch' } as const;
    return this.#writeJobs(call, size, { kind: 'rows', notifications });
  }

  async #writeJobs(
    call: ParsedCall,
    size: { readonly count: number; readonly bytes: number; readonly source: EnqueueSource },
    columns: BatchSource,
  ): Promise<TokensResult> {
    this.#backlog.take(size.bytes);
    const run = writeBatch(this.#writes, call, size.count, columns, this.#traceparent());
    this.#runningBatches.add(run);
    try {
      const result = await run;
      if (!result.replayed) this.#committed(call.app, call.lane, size.count, size.source);
      return result;
    } finally {
      this.#runningBatches.delete(run);
      this.#backlog.release(size.bytes);
    }
  }

  /** The caller's traceparent, if it is sampled. */
  #traceparent(): string | undefined {
    const traceparent = this.#options.traceparent?.();
    return traceparent !== undefined && isSampled(traceparent) ? traceparent : undefined;
  }

  #contextOf(call: ParsedCall): EncodingContext {
    return {
      traits: call.traits,
      startMs: call.dueMs ?? call.startMs ?? Date.now(),
      defaultTtlSeconds: this.#defaultTtlSeconds,
    };
  }

  #ensureSingleSends(app: string, lane: Lane): SingleSends {
    let sends = this.#singleSends[lane].get(app);
    if (sends === undefined) {
      sends = new SingleSends({
        app,
        lane,
        ...this.#writes,
        backlog: this.#backlog,
        onCommit: (notifications) => this.#committed(app, lane, notifications, 'single'),
      });
      this.#singleSends[lane].set(app, sends);
    }
    return sends;
  }

  #committed(app: string, lane: Lane, notifications: number, source: EnqueueSource): void {
    this.#options.observer?.committed(app, lane, notifications, source);
  }
}

/** Opens no connection before it has to; never waits for Redis. */
export function createPushQueue(options: PushQueueOptions): PushQueue {
  return new PushQueue(options);
}

const inCall: PathOf = () => '';
