import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import type { PushJobData } from '../push-job.ts';
import type { EncodedNotification } from './encode-notification.ts';

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
    payloads: Buffer.concat(payloads.buffers).toString('base64'),
    payloadLength: payloads.buffers.map((buffer) => buffer.length),
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
  let hexDigits = 0;
  for (const { token } of notifications) hexDigits += token.length;
  const bytes = Buffer.allocUnsafe(hexDigits / 2);
  let at = 0;
  for (const { token } of notifications) at += bytes.write(token, at, 'hex');
  return bytes.toString('base64');
}

/** Payloads are told apart by their buffers: those that came from one default share one. */
function distinctPayloads(notifications: readonly EncodedNotification[]): {
  buffers: Buffer[];
  of: number[] | undefined;
} {
  const places = new Map<Buffer, number>();
  const of = notifications.map(({ payload }) => {
    const place = places.get(payload) ?? places.size;
    places.set(payload, place);
    return place;
  });
  const everyOneItsOwn = places.size === notifications.length;
  return { buffers: [...places.keys()], of: places.size === 1 || everyOneItsOwn ? undefined : of };
}
