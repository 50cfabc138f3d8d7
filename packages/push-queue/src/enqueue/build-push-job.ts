import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import type { PushJobData } from '../push-job.ts';
import { pushJobId } from '../push-job-id.ts';
import type { EncodedNotification } from './encode-notification.ts';

/** A push job as it is written. */
export interface PushJobText {
  readonly id: string;
  /** Its data, JSON; bytes where it is long: text would be measured and copied again and again on its way to Redis. */
  readonly text: string | Buffer;
  readonly count: number;
  readonly batchSize: number;
  readonly enqueuedAtMs: number;
}

/** Characters. */
const longText = 64 * 1024;

export function formatPushJob(data: PushJobData): PushJobText {
  const { batch, index, count, batchSize, enqueuedAtMs } = data;
  const id = pushJobId(batch, index as number);
  const text = JSON.stringify(data);
  return { id, text: text.length > longText ? Buffer.from(text) : text, count, batchSize, enqueuedAtMs };
}

export interface PushJobHead {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  readonly batchSize: number;
  /** Index in the batch of the first of these notifications, from 1. */
  readonly firstIndex: number;
  readonly enqueuedAtMs: number;
}

/** Lays notifications out in columns, 1 to `maxJobNotifications` of them. */
export function buildPushJob(head: PushJobHead, notifications: readonly EncodedNotification[]): PushJobData {
  const payloads = distinctPayloads(notifications);
  const data: PushJobData = {
    v: 1,
    app: head.app,
    lane: head.lane,
    batch: head.batch,
    batchSize: head.batchSize,
    count: notifications.length,
    index: head.firstIndex,
    enqueuedAtMs: head.enqueuedAtMs,
    tokens: tokenColumn(notifications),
    tokenLength: column(notifications, (notification) => notification.token.length / 2),
    payloads: Buffer.from(payloads.texts.join('')).toString('base64'),
    payloadLength: payloads.lengths,
    expiration: column(notifications, (notification) => notification.expiration),
    priority: column(notifications, (notification) => notification.priority),
  };
  if (payloads.of !== undefined) data.payloadOf = payloads.of;
  const pushType = column(notifications, (notification) => notification.pushType);
  if (pushType !== 'alert') data.pushType = pushType;
  const collapseId = column(notifications, (notification) => notification.collapseId);
  if (collapseId !== null) data.collapseId = collapseId;
  return data;
}

/** One value when all have the same, else a value for each. */
function column<T>(
  notifications: readonly EncodedNotification[],
  read: (notification: EncodedNotification) => T,
): T | T[] {
  const first = read(notifications[0]!);
  for (const notification of notifications)
    if (read(notification) !== first) return notifications.map((each) => read(each));
  return first;
}

function tokenColumn(notifications: readonly EncodedNotification[]): string {
  const hex = notifications.map(({ token }) => token).join('');
  return Buffer.from(hex, 'hex').toString('base64');
}

interface DistinctPayloads {
  readonly texts: string[];
  /** Bytes of each. */
  readonly lengths: number[];
  /** Which one each notification has; undefined: the only one, or each its own. */
  readonly of: number[] | undefined;
}

function distinctPayloads(notifications: readonly EncodedNotification[]): DistinctPayloads {
  const places = new Map<string, number>();
  const lengths: number[] = [];
  const of = notifications.map(({ payload, payloadBytes }) => {
    const known = places.get(payload);
    if (known !== undefined) return known;
    places.set(payload, lengths.length);
    return lengths.push(payloadBytes) - 1;
  });
  const everyOneItsOwn = lengths.length === notifications.length;
  const isImplied = lengths.length === 1 || everyOneItsOwn;
  return { texts: [...places.keys()], lengths, of: isImplied ? undefined : of };
}
