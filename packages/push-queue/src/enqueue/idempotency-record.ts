import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type BatchId, parseNotificationId } from '../notification-id.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { callersRecordName, ownRecordName } from '../redis/keys.ts';
import { invalidField } from './notification-defect.ts';
import { maxIdempotencyKeyLength, type RecallOptions } from './notification-input.ts';

/** What was answered to the call that first carried a key, and what it asked for. Kept short: there is one per key. */
const recordSchema = z.object({
  /** Batch id. */
  b: z.string().refine((id) => parseNotificationId(id) !== undefined),
  /** Index in the batch of the first notification, from 1. */
  i: z.int().min(1),
  /** Number of notifications; 0: nothing is to be enqueued under the key any more. */
  n: z.int().min(0),
  /** Fingerprint of the call. */
  f: z.string(),
  /** Note of the caller. */
  o: z.string().optional(),
});

/** A call with an idempotency key. */
export interface KeyedCall {
  readonly recordName: string;
  readonly fingerprint: string;
  /** How long the key is remembered, milliseconds; undefined: the queue's `idempotencyWindowMs`. */
  readonly windowMs?: number | undefined;
  readonly note?: string | undefined;
}

export interface IdempotencyRecord {
  readonly batch: BatchId;
  readonly firstIndex: number;
  readonly count: number;
  readonly fingerprint: string;
  readonly note?: string | undefined;
}

export function formatRecord(record: IdempotencyRecord): string {
  const { batch: b, firstIndex: i, count: n, fingerprint: f, note: o } = record;
  return JSON.stringify({ b, i, n, f, o });
}

export function parseRecord(text: string): IdempotencyRecord {
  const { b, i, n, f, o } = recordSchema.parse(JSON.parse(text));
  return { batch: b, firstIndex: i, count: n, fingerprint: f, note: o };
}

/** The same for calls that mean the same: the order of keys in objects does not count. 132 bits. */
export function fingerprintOf(call: object): string {
  return createHash('sha256').update(canonicalJson(call)).digest('base64url').slice(0, 22);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** The name of a key's record. Throws `PushQueueError`. */
export function recordNameOf(key: unknown, { isOwn = false }: Pick<RecallOptions, 'isOwn'>): string {
  if (typeof key === 'string' && key.length <= maxIdempotencyKeyLength && /^[\x21-\x7e]+$/.test(key))
    return isOwn ? ownRecordName(key) : callersRecordName(key);
  throw invalidField(
    'idempotencyKey',
    `must be 1 to ${maxIdempotencyKeyLength} visible characters of ASCII without spaces`,
  );
}

/** What the first call with a key was answered; an error where it was another call. */
export function recallOf(
  earlier: IdempotencyRecord,
  { recordName, fingerprint }: Pick<KeyedCall, 'recordName' | 'fingerprint'>,
): IdempotencyRecord | PushQueueError {
  return earlier.fingerprint === fingerprint ? earlier : idempotencyConflict(recordName);
}

/** @param name Of the key's record */
function idempotencyConflict(name: string): PushQueueError {
  return new PushQueueError(
    'idempotency-conflict',
    `the idempotency key ${name.trimStart()} was used for another call`,
    {
      field: 'idempotencyKey',
    },
  );
}
