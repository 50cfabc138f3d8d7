import { setImmediate } from 'node:timers/promises';
import { type BatchId, createBatchId, type NotificationId, notificationId } from '../notification-id.ts';
import {
  type BatchSource,
  encodeBatch,
  formatPushJob,
  type PushJobHead,
  type PushJobText,
} from '../push-job/encode.ts';
import { maxJobNotifications } from '../push-job/format.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { idempotencyRecordKey } from '../redis/keys.ts';
import type { ParsedCall } from './encode.ts';
import { formatRecord, type KeyedCall, parseRecord, recallOf } from './idempotency-record.ts';
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

export interface BatchWriteOptions {
  readonly writer: JobWriter;
  readonly prefix: string;
  readonly idempotencyWindowMs: number;
}

/** Writes a call that is a batch of its own: all its jobs in one transaction. Throws `PushQueueError`. */
export async function writeBatch(
  { writer, prefix, idempotencyWindowMs }: BatchWriteOptions,
  call: ParsedCall,
  count: number,
  source: BatchSource,
  traceparent: string | undefined,
): Promise<TokensResult> {
  const { app, lane, startMs, keyed, batchId: batch = createBatchId() } = call;
  const write: JobWrite = {
    app,
    lane,
    jobs: await formatJobs({ app, lane, batch, batchSize: count, enqueuedAtMs: Date.now() }, source),
    ...(startMs === undefined ? {} : { startMs }),
    ...(traceparent === undefined ? {} : { traceparents: [traceparent] }),
  };
  let result: TokensResult = { batchId: batch, count, replayed: false, note: keyed?.note };
  if (keyed === undefined) {
    await writer.write(write);
    return result;
  }
  const recordKey = idempotencyRecordKey(prefix, app, keyed.recordName);
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

/** Each job takes milliseconds: others have their turn between them. */
async function formatJobs(head: PushJobHead, source: BatchSource): Promise<PushJobText[]> {
  const texts: PushJobText[] = [];
  for (const job of encodeBatch(head, source)) {
    if (job.count === maxJobNotifications) await setImmediate();
    texts.push(formatPushJob(job));
    if (job.count === maxJobNotifications) await setImmediate();
  }
  return texts;
}

/** Stores the record of a key, with a count of 0, unless there is one: then gives what that call was answered. */
export async function reserveKey(
  { writer, prefix, idempotencyWindowMs }: BatchWriteOptions,
  app: string,
  keyed: KeyedCall,
  batchId: BatchId,
): Promise<TokensResult> {
  const { recordName, fingerprint, note, windowMs = idempotencyWindowMs } = keyed;
  const record = formatRecord({ batch: batchId, firstIndex: 1, count: 0, fingerprint, note });
  const stored = await writer.remember(idempotencyRecordKey(prefix, app, recordName), record, windowMs);
  return stored === null ? { batchId, count: 0, replayed: false, note } : replayOf(stored, keyed);
}

/** What the first call with a key was answered. Throws `PushQueueError` when it was another call. */
export function replayOf(stored: string, keyed: Pick<KeyedCall, 'recordName' | 'fingerprint'>): TokensResult {
  const earlier = recallOf(parseRecord(stored), keyed);
  if (earlier instanceof PushQueueError) throw earlier;
  return { batchId: earlier.batch, count: earlier.count, replayed: true, note: earlier.note };
}

/** With the ids of all notifications. */
export function withNotificationIds({ batchId, count, replayed, note }: TokensResult): BatchResult {
  const notificationIds = Array.from({ length: count }, (_, place) => notificationId(batchId, place + 1));
  return { batchId, notificationIds, replayed, ...(note === undefined ? {} : { note }) };
}
