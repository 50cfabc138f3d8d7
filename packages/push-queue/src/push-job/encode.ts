import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import type { PushType } from '@pushfleet/apns-wire/payload';
import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import { bufferOf, selectColumns, selectValues } from './columns.ts';
import type { DecodedPushJob } from './decode.ts';
import { absentColumns, jobStarts, maxJobNotifications, type PushJobData, pushJobVersion } from './format.ts';
import { pushJobId } from './id.ts';

/** What is sent and how, whoever gets it. */
export interface EncodedDelivery {
  /** JSON, and its size as UTF-8. */
  readonly payload: string;
  readonly payloadBytes: number;
  /** Epoch seconds; 0: do not store. */
  readonly expiration: number;
  readonly priority: 10 | 5 | 1;
  readonly pushType: PushType;
  readonly collapseId: string | null;
}

/** A notification, ready to be laid out in columns. */
export interface EncodedNotification extends EncodedDelivery {
  readonly token: DeviceToken;
  /** Trace context of its caller, where it is sampled. */
  readonly traceparent?: string;
}

/** Device tokens whose lengths have been checked against their bytes. */
export interface CheckedTokens {
  readonly bytes: Buffer;
  readonly count: number;
  /** One number: all the same. */
  readonly lengths: number | readonly number[];
}

export interface PushJobHead {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  /** Notifications of the batch in all its push jobs. */
  readonly batchSize: number;
  readonly enqueuedAtMs: number;
}

/** 1 to `maxJobNotifications` notifications. `firstIndex`: index in the batch of the first, from 1; the others follow. */
export type ColumnSource =
  | {
      readonly kind: 'rows';
      readonly firstIndex: number;
      readonly notifications: readonly EncodedNotification[];
    }
  /** Devices that get the same. */
  | {
      readonly kind: 'tokens';
      readonly firstIndex: number;
      readonly tokens: CheckedTokens;
      readonly delivery: EncodedDelivery;
    }
  /** Some places of a push job, ascending. */
  | { readonly kind: 'selection'; readonly job: DecodedPushJob; readonly places: Uint16Array };

type Columns = Omit<PushJobData, 'v' | keyof PushJobHead>;

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

/** Notifications of a batch, however many. */
export type BatchSource =
  | { readonly kind: 'rows'; readonly notifications: readonly EncodedNotification[] }
  | { readonly kind: 'tokens'; readonly tokens: CheckedTokens; readonly delivery: EncodedDelivery };

/** The push jobs of a batch. */
export function* encodeBatch(head: PushJobHead, source: BatchSource): Generator<PushJobData> {
  let tokenBytes = 0;
  for (const from of jobStarts(head.batchSize)) {
    const firstIndex = from + 1;
    if (source.kind === 'rows') {
      const notifications = source.notifications.slice(from, from + maxJobNotifications);
      yield encodePushJob(head, { kind: 'rows', firstIndex, notifications });
    } else {
      const tokens = sliceTokens(source.tokens, from, tokenBytes);
      tokenBytes += tokens.bytes.length;
      yield encodePushJob(head, { kind: 'tokens', firstIndex, tokens, delivery: source.delivery });
    }
  }
}

/** The tokens of one push job. @param start Where its first token begins in the bytes. */
function sliceTokens({ bytes, count, lengths }: CheckedTokens, from: number, start: number): CheckedTokens {
  const size = Math.min(maxJobNotifications, count - from);
  if (typeof lengths === 'number') {
    return { bytes: bytes.subarray(start, start + size * lengths), count: size, lengths };
  }
  const own = lengths.slice(from, from + size);
  const length = own.reduce((sum, one) => sum + one, 0);
  return { bytes: bytes.subarray(start, start + length), count: size, lengths: own };
}

/** Lays notifications out in columns, as a push job lies in Redis. */
export function encodePushJob(head: PushJobHead, source: ColumnSource): PushJobData {
  const columns = columnsOf(source);
  const data: PushJobData = {
    v: pushJobVersion,
    app: head.app,
    lane: head.lane,
    batch: head.batch,
    batchSize: head.batchSize,
    count: columns.count,
    index: columns.index,
    enqueuedAtMs: head.enqueuedAtMs,
    tokens: columns.tokens,
    tokenLength: columns.tokenLength,
    payloads: columns.payloads,
    payloadLength: columns.payloadLength,
    expiration: columns.expiration,
    priority: columns.priority,
  };
  const { payloadOf, pushType, collapseId } = columns;
  if (payloadOf !== undefined) data.payloadOf = payloadOf;
  if (pushType !== absentColumns.pushType) data.pushType = pushType;
  if (collapseId !== absentColumns.collapseId) data.collapseId = collapseId;
  return data;
}

function columnsOf(source: ColumnSource): Columns {
  switch (source.kind) {
    case 'rows':
      return rowColumns(source.firstIndex, source.notifications);
    case 'tokens':
      return tokenColumns(source.firstIndex, source.tokens, source.delivery);
    case 'selection':
      return selectedColumns(source.job, source.places);
  }
}

function rowColumns(index: number, rows: readonly EncodedNotification[]): Columns {
  const payloads = distinctPayloads(rows);
  return {
    count: rows.length,
    index,
    tokens: Buffer.from(rows.map(({ token }) => token).join(''), 'hex').toString('base64'),
    tokenLength: column(rows, ({ token }) => token.length / 2),
    payloads: Buffer.from(payloads.texts.join('')).toString('base64'),
    payloadLength: payloads.lengths,
    payloadOf: payloads.of,
    expiration: column(rows, ({ expiration }) => expiration),
    priority: column(rows, ({ priority }) => priority),
    pushType: column(rows, ({ pushType }) => pushType),
    collapseId: column(rows, ({ collapseId }) => collapseId),
  };
}

function tokenColumns(
  index: number,
  { bytes, count, lengths }: CheckedTokens,
  same: EncodedDelivery,
): Columns {
  return {
    count,
    index,
    tokens: bytes.toString('base64'),
    tokenLength: lengths as number | number[],
    payloads: Buffer.from(same.payload).toString('base64'),
    payloadLength: [same.payloadBytes],
    expiration: same.expiration,
    priority: same.priority,
    pushType: same.pushType,
    collapseId: same.collapseId,
  };
}

function selectedColumns(job: DecodedPushJob, places: Uint16Array): Columns {
  const columns = selectColumns(job, places);
  const { payloads, payloadOffsets, tokenOffsets } = columns;
  const used = [...new Set(columns.payloadOf)];
  const texts = used.map((of) => bufferOf(payloads.subarray(payloadOffsets[of], payloadOffsets[of + 1])));
  return {
    count: columns.count,
    index: Array.from(places, (place) => job.indexes[place]!),
    tokens: bufferOf(columns.tokens).toString('base64'),
    tokenLength: Array.from(places, (_, at) => tokenOffsets[at + 1]! - tokenOffsets[at]!),
    payloads: Buffer.concat(texts).toString('base64'),
    payloadLength: texts.map((text) => text.length),
    payloadOf: Array.from(columns.payloadOf, (of) => used.indexOf(of)),
    expiration: [...columns.expirations],
    priority: [...columns.priorities] as (10 | 5 | 1)[],
    pushType: selectValues<string>(job.pushType, places),
    collapseId: selectValues<string | null>(job.collapseId, places),
  };
}

/** One value when all have the same, else a value for each. */
function column<T>(
  rows: readonly EncodedNotification[],
  read: (notification: EncodedNotification) => T,
): T | T[] {
  const first = read(rows[0]!);
  for (const row of rows) if (read(row) !== first) return rows.map((each) => read(each));
  return first;
}

interface DistinctPayloads {
  readonly texts: string[];
  /** Bytes of each. */
  readonly lengths: number[];
  /** Which one each notification has; undefined: the only one, or each its own. */
  readonly of: number[] | undefined;
}

function distinctPayloads(rows: readonly EncodedNotification[]): DistinctPayloads {
  const places = new Map<string, number>();
  const lengths: number[] = [];
  const of = rows.map(({ payload, payloadBytes }) => {
    const known = places.get(payload);
    if (known !== undefined) return known;
    places.set(payload, lengths.length);
    return lengths.push(payloadBytes) - 1;
  });
  const followsFromCount = lengths.length === 1 || lengths.length === rows.length;
  return { texts: [...places.keys()], lengths, of: followsFromCount ? undefined : of };
}
