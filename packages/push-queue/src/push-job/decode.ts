import type { NotificationColumns } from '@pushfleet/apns-wire/columns';
import { maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { type Lane, lanes } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import { base64Bytes } from './columns.ts';
import {
  absentColumns,
  maxIndex,
  maxJobNotifications,
  maxPayloadBytes,
  minPayloadBytes,
  priorities,
  pushJobVersion,
} from './format.ts';
import { batchIdPattern } from './id.ts';

// Reads what lies in Redis for a push job. By hand and not by the schema: this is the hot path of the worker. The two
// give the same verdict.

/** A push job as a worker holds it: decoded once, whatever happens to it. */
export interface DecodedPushJob {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  readonly batchSize: number;
  readonly enqueuedAtMs: number;
  readonly count: number;
  /** Index in the batch by place, ascending. */
  readonly indexes: Uint32Array;
  readonly columns: NotificationColumns;
  /** One for all, or one by place. */
  readonly pushType: string | readonly string[];
  readonly collapseId: string | null | readonly (string | null)[];
  /** Memory that it takes, about. */
  readonly bytes: number;
}

/** The data of a job cannot be read. The message names the field, and never holds its value. */
export class PoisonedJobError extends Error {
  override readonly name = 'PoisonedJobError';
}

export interface ExpectedQueue {
  readonly app: string;
  readonly lane: Lane;
}

const maxExpiration = 0xffff_ffff;
/** Memory that a push job takes beside its columns, about. */
const overheadBytes = 512;

/** @throws PoisonedJobError */
export function decodePushJob(text: string, expected: ExpectedQueue): DecodedPushJob {
  const data = parseObject(text);
  if (data.v !== pushJobVersion) throw poisoned('v', `is not ${pushJobVersion}`);
  if (data.app !== expected.app) throw poisoned('app', 'is not the app of the queue');
  if (!lanes.includes(data.lane as Lane) || data.lane !== expected.lane) {
    throw poisoned('lane', 'is not the lane of the queue');
  }
  if (typeof data.batch !== 'string' || !batchIdPattern.test(data.batch)) {
    throw poisoned('batch', 'is not a batch id');
  }
  const count = integer('count', data.count, 1, maxJobNotifications);
  const columns = decodeColumns(data, count);
  const { pushType = absentColumns.pushType, collapseId = absentColumns.collapseId } = data;
  return {
    app: expected.app,
    lane: expected.lane,
    batch: data.batch,
    batchSize: integer('batchSize', data.batchSize, 1, maxIndex),
    enqueuedAtMs: integer('enqueuedAtMs', data.enqueuedAtMs, 0, Number.MAX_SAFE_INTEGER),
    count,
    indexes: decodeIndexes(data.index, count),
    columns,
    pushType: textColumn('pushType', pushType, count, false) as string | string[],
    collapseId: textColumn('collapseId', collapseId, count, true),
    bytes: columns.tokens.length + columns.payloads.length + count * 24 + overheadBytes,
  };
}

function decodeColumns(data: Record<string, unknown>, count: number): NotificationColumns {
  const tokens = base64('tokens', data.tokens);
  const tokenOffsets = offsets('tokenLength', perNotification('tokenLength', data.tokenLength, count), {
    count,
    min: 1,
    max: maxDeviceTokenBytes,
    total: tokens.length,
    of: 'tokens',
  });
  const payloads = base64('payloads', data.payloads);
  const lengths = data.payloadLength;
  if (!Array.isArray(lengths) || lengths.length < 1 || lengths.length > count) {
    throw poisoned('payloadLength', 'is not a list of 1 to `count` lengths');
  }
  const payloadOffsets = offsets('payloadLength', lengths, {
    count: lengths.length,
    min: minPayloadBytes,
    max: maxPayloadBytes,
    total: payloads.length,
    of: 'payloads',
  });
  return {
    count,
    tokens,
    tokenOffsets,
    payloads,
    payloadOffsets,
    payloadOf: decodePayloadOf(data.payloadOf, count, lengths.length),
    expirations: numbers(new Uint32Array(count), 'expiration', data.expiration, (value) =>
      isInteger(value, 0, maxExpiration),
    ),
    priorities: numbers(new Uint8Array(count), 'priority', data.priority, (value) =>
      priorities.includes(value as 10),
    ),
  };
}

function decodeIndexes(value: unknown, count: number): Uint32Array {
  const indexes = new Uint32Array(count);
  if (Array.isArray(value)) {
    if (value.length !== count) throw poisoned('index', 'is not a list of `count` indexes');
    let before = 0;
    for (let at = 0; at < count; at++) {
      if (!isInteger(value[at], before + 1, maxIndex)) throw poisoned('index', 'is not ascending from 1');
      before = value[at];
      indexes[at] = before;
    }
    return indexes;
  }
  const first = integer('index', value, 1, maxIndex - count);
  for (let at = 0; at < count; at++) indexes[at] = first + at;
  return indexes;
}

function decodePayloadOf(value: unknown, count: number, distinct: number): Uint16Array {
  const payloadOf = new Uint16Array(count);
  if (value === undefined) {
    if (distinct === 1) return payloadOf;
    if (distinct !== count) throw poisoned('payloadOf', 'is missing');
    for (let at = 0; at < count; at++) payloadOf[at] = at;
    return payloadOf;
  }
  if (!Array.isArray(value)) throw poisoned('payloadOf', 'is not a list of `count` values');
  return numbers(payloadOf, 'payloadOf', value, (of) => isInteger(of, 0, distinct - 1));
}

function numbers<T extends Uint8Array | Uint16Array | Uint32Array>(
  into: T,
  field: string,
  value: unknown,
  isValid: (value: unknown) => boolean,
): T {
  if (!Array.isArray(value)) {
    if (!isValid(value)) throw poisoned(field, 'has a value that is not allowed');
    into.fill(value as number);
    return into;
  }
  if (value.length !== into.length) throw poisoned(field, 'is not a list of `count` values');
  for (let at = 0; at < into.length; at++) {
    if (!isValid(value[at])) throw poisoned(field, 'has a value that is not allowed');
    into[at] = value[at] as number;
  }
  return into;
}

interface OffsetLimits {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly total: number;
  readonly of: string;
}

/** Lengths (one: all the same) as offsets; they must add up to what there is. */
function offsets(field: string, lengths: unknown, limits: OffsetLimits): Uint32Array {
  const { count, min, max, total, of } = limits;
  const result = new Uint32Array(count + 1);
  let sum = 0;
  for (let at = 0; at < count; at++) {
    const length = Array.isArray(lengths) ? (lengths[at] as unknown) : lengths;
    if (!isInteger(length, min, max)) throw poisoned(field, `has a length that is not ${min} to ${max}`);
    sum += length;
    result[at + 1] = sum;
  }
  if (sum !== total) throw poisoned(field, `adds up to ${sum} bytes, and ${of} has ${total}`);
  return result;
}

function perNotification(field: string, value: unknown, count: number): unknown {
  if (Array.isArray(value) && value.length !== count)
    throw poisoned(field, 'is not a list of `count` lengths');
  return value;
}

function textColumn(
  field: string,
  value: unknown,
  count: number,
  nullable: boolean,
): string | null | (string | null)[] {
  const isValid = (one: unknown) => typeof one === 'string' || (nullable && one === null);
  if (!Array.isArray(value)) {
    if (!isValid(value)) throw poisoned(field, 'is not text');
    return value as string | null;
  }
  if (value.length !== count || !value.every(isValid)) {
    throw poisoned(field, 'is not a list of `count` texts');
  }
  return value as (string | null)[];
}

function base64(field: string, value: unknown): Uint8Array {
  const bytes = typeof value === 'string' ? base64Bytes(value) : undefined;
  if (bytes === undefined) throw poisoned(field, 'is not base64');
  return bytes;
}

function integer(field: string, value: unknown, min: number, max: number): number {
  if (isInteger(value, min, max)) return value;
  throw poisoned(field, `is not a whole number from ${min} to ${max}`);
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not the parser's message: it quotes the text.
    throw new PoisonedJobError('the data are not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new PoisonedJobError('the data are not a JSON object');
}

function poisoned(field: string, problem: string): PoisonedJobError {
  return new PoisonedJobError(`${field} ${problem}`);
}
