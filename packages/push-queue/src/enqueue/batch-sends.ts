import { setImmediate } from 'node:timers/promises';
import type { Lane } from '../lane.ts';
import { type BatchId, createBatchId, type NotificationId, notificationId } from '../notification-id.ts';
import { maxJobNotifications, type PushJobData } from '../push-job.ts';
import { idempotencyRecordKey } from '../redis/keys.ts';
import { buildPushJob, formatPushJob, type PushJobText } from './build-push-job.ts';
import type { EncodedNotification } from './encode-notification.ts';
import { formatRecord, idempotencyConflict, parseRecord } from './idempotency-record.ts';
import type { JobWrite, JobWriter, KeyedWrite } from './job-writer.ts';

export interface BatchResult {
  readonly batchId: BatchId;
  readonly notificationIds: readonly NotificationId[];
  /** An earlier call with the same idempotency key was answered with this; nothing was enqueued now. */
  readonly replayed: boolean;
  /** What the first call with the key left for those that follow. */
  readonly note?: string | undefined;
}

/** What became of a call whose notifications are not told one by one. */
export interface TokensResult {
  readonly batchId: BatchId;
  /** Notifications in the batch; the id of each follows from its place: `notificationId(batchId, place + 1)`. */
  readonly count: number;
  readonly replayed: boolean;
  /** What the first call with the key left for those that follow. */
  readonly note?: string | undefined;
}

/** Builds the push jobs of a batch. */
export type JobsOf = (batch: BatchId) => Iterable<PushJobData>;

export interface BatchCall {
  readonly app: string;
  readonly lane: Lane;
  /** Epoch milliseconds; undefined: now. */
  readonly startMs: number | undefined;
  readonly keyed:
    | {
        readonly recordName: string;
        readonly fingerprint: string;
        readonly windowMs?: number | undefined;
        readonly note?: string | undefined;
      }
    | undefined;
  /** Undefined: a new one. */
  readonly batchId?: BatchId | undefined;
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
  async write(
    call: BatchCall,
    count: number,
    jobsOf: JobsOf,
    traceparent: string | undefined,
  ): Promise<TokensResult> {
    const { writer, prefix, idempotencyWindowMs } = this.#options;
    const batch = call.batchId ?? createBatchId();
    const write: JobWrite = {
      app: call.app,
      lane: call.lane,
      jobs: await formatJobs(jobsOf(batch)),
      ...(call.startMs === undefined ? {} : { startMs: call.startMs }),
      ...(traceparent === undefined ? {} : { traceparents: [traceparent] }),
    };
    const { keyed } = call;
    let result: TokensResult = { batchId: batch, count, replayed: false, note: keyed?.note };
    if (keyed === undefined) {
      await writer.write(write);
      return result;
    }
    const recordKey = idempotencyRecordKey(prefix, call.app, keyed.recordName);
    const record = { batch, firstIndex: 1, count, fingerprint: keyed.fingerprint, note: keyed.note };
    const decide: KeyedWrite = ([stored]) => {
      if (typeof stored === 'string') {
        result = replayOf(stored, keyed);
        return undefined;
      }
      return {
        ...write,
        records: [{ key: recordKey, value: formatRecord(record) }],
        recordWindowMs: keyed.windowMs ?? idempotencyWindowMs,
      };
    };
    await writer.writeKeyed([recordKey], decide, write.jobs);
    return result;
  }
}

/** What the first call with a key was answered. Throws `PushQueueError` when it was another call. */
export function replayOf(
  stored: string,
  keyed: { readonly recordName: string; readonly fingerprint: string },
): TokensResult {
  const earlier = parseRecord(stored);
  if (earlier.fingerprint !== keyed.fingerprint) throw idempotencyConflict(keyed.recordName);
  return { batchId: earlier.batch, count: earlier.count, replayed: true, note: earlier.note };
}

/** Notifications of any kind as push jobs. */
export function jobsOfNotifications(call: BatchCall, notifications: readonly EncodedNotification[]): JobsOf {
  return (batch) => jobsOf(call, batch, notifications);
}

/** Each job takes milliseconds: others have their turn between them. */
async function formatJobs(jobs: Iterable<PushJobData>): Promise<PushJobText[]> {
  const texts: PushJobText[] = [];
  for (const job of jobs) {
    if (job.count === maxJobNotifications) await setImmediate();
    texts.push(formatPushJob(job));
    if (job.count === maxJobNotifications) await setImmediate();
  }
  return texts;
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

/** With the ids of all notifications. */
export function withNotificationIds({ batchId, count, replayed, note }: TokensResult): BatchResult {
  const notificationIds = Array.from({ length: count }, (_, place) => notificationId(batchId, place + 1));
  return { batchId, notificationIds, replayed, ...(note === undefined ? {} : { note }) };
}
