import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import type { PushJobData } from '../push-job.ts';

/**
 * Columns of notifications as typed arrays. Has the shape of `NotificationColumns` of apns-wire, which this package
 * does not import: positions from 0, offsets with one entry more than there are notifications.
 */
export interface PushJobColumns {
  readonly count: number;
  readonly tokens: Uint8Array;
  readonly tokenOffsets: Uint32Array;
  readonly payloads: Uint8Array;
  readonly payloadOffsets: Uint32Array;
  readonly payloadOf: Uint16Array;
  /** Epoch seconds; 0: do not store. */
  readonly expirations: Uint32Array;
  readonly priorities: Uint8Array;
}

/** A push job as a worker holds it: decoded once, whatever happens to it. */
export interface DecodedPushJob {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  readonly batchSize: number;
  readonly enqueuedAtMs: number;
  readonly count: number;
  /** Index in the batch by position, ascending. */
  readonly indexes: Uint32Array;
  readonly columns: PushJobColumns;
  /** One for all, or one by position. */
  readonly pushType: string | readonly string[];
  readonly collapseId: string | null | readonly (string | null)[];
  /** Memory that it takes, about. */
  readonly bytes: number;
}

/** The columns of some positions, in the order given. Payloads are shared with the job. */
export function selectColumns(job: DecodedPushJob, places: Uint16Array): PushJobColumns {
  const { tokens, tokenOffsets, payloadOf, expirations, priorities } = job.columns;
  const count = places.length;
  const offsets = new Uint32Array(count + 1);
  for (let at = 0; at < count; at++) {
    const place = places[at]!;
    offsets[at + 1] = offsets[at]! + tokenOffsets[place + 1]! - tokenOffsets[place]!;
  }
  const bytes = new Uint8Array(offsets[count]!);
  const columns = {
    ...job.columns,
    count,
    tokens: bytes,
    tokenOffsets: offsets,
    payloadOf: new Uint16Array(count),
    expirations: new Uint32Array(count),
    priorities: new Uint8Array(count),
  };
  for (let at = 0; at < count; at++) {
    const place = places[at]!;
    bytes.set(tokens.subarray(tokenOffsets[place]!, tokenOffsets[place + 1]!), offsets[at]!);
    columns.payloadOf[at] = payloadOf[place]!;
    columns.expirations[at] = expirations[place]!;
    columns.priorities[at] = priorities[place]!;
  }
  return columns;
}

/** The values of a column at some positions. */
export function selectValues<T>(column: T | readonly T[], places: Uint16Array): T | T[] {
  if (!Array.isArray(column)) return column as T;
  return Array.from(places, (place) => (column as readonly T[])[place]!);
}

/** Device token of a position, hex. */
export function tokenHex({ columns }: DecodedPushJob, place: number): string {
  return bufferOf(columns.tokens)
    .subarray(columns.tokenOffsets[place], columns.tokenOffsets[place + 1])
    .toString('hex');
}

/** Some positions of a job as a push job of their own, as it would lie in Redis. */
export function encodePushJob(job: DecodedPushJob, places: Uint16Array): PushJobData {
  const columns = selectColumns(job, places);
  const used = [...new Set(columns.payloadOf)];
  const spans = used.map((of) => {
    const span = columns.payloads.subarray(columns.payloadOffsets[of], columns.payloadOffsets[of + 1]);
    return bufferOf(span);
  });
  const data: PushJobData = {
    v: 1,
    app: job.app,
    lane: job.lane,
    batch: job.batch,
    batchSize: job.batchSize,
    count: columns.count,
    index: Array.from(places, (place) => job.indexes[place]!),
    enqueuedAtMs: job.enqueuedAtMs,
    tokens: bufferOf(columns.tokens).toString('base64'),
    tokenLength: Array.from(places, (_, at) => columns.tokenOffsets[at + 1]! - columns.tokenOffsets[at]!),
    payloads: Buffer.concat(spans).toString('base64'),
    payloadLength: spans.map((span) => span.length),
    payloadOf: Array.from(columns.payloadOf, (of) => used.indexOf(of)),
    expiration: [...columns.expirations],
    priority: [...columns.priorities] as (10 | 5 | 1)[],
  };
  if (job.pushType !== 'alert') data.pushType = selectValues<string>(job.pushType, places);
  if (job.collapseId !== null) data.collapseId = selectValues<string | null>(job.collapseId, places);
  return data;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
