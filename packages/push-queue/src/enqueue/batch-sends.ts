import type { Lane } from '../lane.ts';
import { type BatchId, createBatchId, type NotificationId, notificationId } from '../notification-id.ts';
import { maxJobNotifications, type PushJobData } from '../push-job.ts';
import { idempotencyRecordKey } from '../redis-keys.ts';
import { buildPushJob } from './build-push-job.ts';
import type { EncodedNotification } from './encode-notification.ts';
import { formatRecord, idempotencyConflict, parseRecord } from './idempotency-record.ts';
import type { JobWrite, JobWriter } from './job-writer.ts';

export interface BatchResult {
  readonly batchId: BatchId;
  readonly notificationIds: readonly NotificationId[];
  /** An earlier call with the same idempotency key was answered with this; nothing was enqueued now. */
  readonly replayed: boolean;
}

export interface BatchCall {
  readonly app: string;
  readonly lane: Lane;
  /** Epoch milliseconds; undefined: now. */
  readonly startMs: number | undefined;
  readonly keyed: { readonly key: string; readonly fingerprint: string } | undefined;
}

export interface BatchSendsOptions {
  readonly prefix: string;
  readonly writer: JobWriter;
  readonly idempotencyWindowMs: number;
}

/** Calls that are a batch of their own: all their jobs in one transaction. */
export class BatchSends {
  readonly #options: BatchSendsOptions;

  constructor(options: BatchSendsOptions) {
    this.#options = options;
  }

  /** Resolves when Redis has all of it. Throws `PushQueueError`. */
  async write(call: BatchCall, notifications: readonly EncodedNotification[]): Promise<BatchResult> {
    const { writer, prefix, idempotencyWindowMs } = this.#options;
    const batch = createBatchId();
    const write: JobWrite = {
      app: call.app,
      lane: call.lane,
      jobs: [...jobsOf(call, batch, notifications)],
      ...(call.startMs === undefined ? {} : { startMs: call.startMs }),
    };
    const { keyed } = call;
    if (keyed === undefined) {
      await writer.write(write);
      return batchResult(batch, notifications.length, false);
    }
    const recordKey = idempotencyRecordKey(prefix, call.app, keyed.key);
    const record = {
      batch,
      firstIndex: 1,
      count: notifications.length,
      fingerprint: keyed.fingerprint,
    };
    let result = batchResult(batch, notifications.length, false);
    await writer.writeKeyed([recordKey], ([stored]) => {
      if (typeof stored === 'string') {
        const earlier = parseRecord(stored);
        if (earlier.fingerprint !== keyed.fingerprint) throw idempotencyConflict(keyed.key);
        result = batchResult(earlier.batch, earlier.count, true);
        return undefined;
      }
      return {
        ...write,
        records: [{ key: recordKey, value: formatRecord(record) }],
        recordWindowMs: idempotencyWindowMs,
      };
    });
    return result;
  }
}

function* jobsOf(
  call: BatchCall,
  batch: BatchId,
  notifications: readonly EncodedNotification[],
): Generator<PushJobData> {
  const enqueuedAtMs = Date.now();
  for (let from = 0; from < notifications.length; from += maxJobNotifications) {
    const head = {
      app: call.app,
      lane: call.lane,
      batch,
      batchSize: notifications.length,
      firstIndex: from + 1,
      enqueuedAtMs,
    };
    yield buildPushJob(head, notifications.slice(from, from + maxJobNotifications));
  }
}

function batchResult(batch: BatchId, count: number, replayed: boolean): BatchResult {
  const notificationIds = Array.from({ length: count }, (_, place) => notificationId(batch, place + 1));
  return { batchId: batch, notificationIds, replayed };
}
