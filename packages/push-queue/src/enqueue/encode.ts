import { type DeviceToken, maxBinaryTokenBytes, parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { type EncodedPayload, encodePayload, type PushType } from '@pushfleet/apns-wire/payload';
import type { AppTraits } from '../app-traits.ts';
import { type Lane, lanes } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import type { EncodedDelivery, EncodedNotification } from '../push-job/encode.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { appIdPattern } from '../settings.ts';
import { fingerprintOf, type KeyedCall, recordNameOf } from './idempotency-record.ts';
import { invalidField } from './notification-defect.ts';
import {
  type BatchOptions,
  type CallOptions,
  maxScheduleSeconds,
  type NotificationDefaults,
  type NotificationInput,
} from './notification-input.ts';
import { parseTime } from './parse-time.ts';

// What a caller hands over, checked and encoded: the call, and its notifications. By hand, since single sends come at tens
// of thousands a second, and each is checked on its own.

/** What concerns a call as a whole, checked. */
export interface ParsedCall {
  readonly app: string;
  readonly lane: Lane;
  readonly traits: AppTraits;
  /** Not before then, epoch milliseconds; undefined: now. */
  readonly startMs: number | undefined;
  /** From when on expirations count, epoch milliseconds; undefined: `startMs`, or now. */
  readonly dueMs: number | undefined;
  /** Undefined: it has no idempotency key. */
  readonly keyed: KeyedCall | undefined;
  /** Undefined: a new one. */
  readonly batchId: BatchId | undefined;
}

/** The apps that may be sent to. Undefined: any. */
export type KnownApps = ReadonlyMap<string, AppTraits> | undefined;

/** Where no apps are known every app is taken for one on HTTP/2: the worker refuses what its gateway cannot carry. */
const unknownTraits: AppTraits = { transport: 'http2' };

/** Throws `PushQueueError` `unknown-app`. */
export function traitsOf(apps: KnownApps, app: unknown): AppTraits {
  if (typeof app !== 'string' || !appIdPattern.test(app)) {
    throw new PushQueueError('unknown-app', 'app: must be the id of an app', { field: 'app' });
  }
  const traits = apps === undefined ? unknownTraits : apps.get(app);
  if (traits !== undefined) return traits;
  throw new PushQueueError('unknown-app', `app: there is no app ${app}`, { field: 'app' });
}

/**
 * Checks what concerns the whole call.
 * @param identity What the call asks for, where it has an idempotency key. It is read when its fingerprint is asked
 * for, which is after it has been checked.
 * Throws `PushQueueError`.
 */
export function parseCall(
  apps: KnownApps,
  input: CallOptions,
  identity: object,
  recall: BatchOptions = {},
): ParsedCall {
  const { app, lane = 'transactional', sendAt, idempotencyKey } = input;
  const traits = traitsOf(apps, app);
  if (!lanes.includes(lane)) throw invalidField('lane', `must be one of ${lanes.join(', ')}`);
  const startMs = sendAt === undefined ? undefined : parseSendAt(sendAt);
  const { batchId, dueMs } = recall;
  if (idempotencyKey === undefined) return { app, lane, traits, startMs, dueMs, batchId, keyed: undefined };
  let known = recall.fingerprint;
  const keyed = {
    recordName: recordNameOf(idempotencyKey, recall),
    get fingerprint() {
      const { idempotencyKey: _, ...rest } = identity as CallOptions;
      known ??= fingerprintOf(rest);
      return known;
    },
    windowMs: recall.idempotencyWindowMs,
    note: recall.note,
  };
  return { app, lane, traits, startMs, dueMs, batchId, keyed };
}

/** Undefined: the time has come already. */
function parseSendAt(sendAt: unknown): number | undefined {
  const startMs = parseTime('sendAt', sendAt);
  const nowMs = Date.now();
  if (startMs > nowMs + maxScheduleSeconds * 1000) throw invalidField('sendAt', 'is more than 30 days ahead');
  return startMs <= nowMs ? undefined : startMs;
}

export interface EncodingContext {
  readonly traits: AppTraits;
  /** When it may be sent from on, epoch milliseconds: `ttl` counts from here. */
  readonly startMs: number;
  readonly defaultTtlSeconds: number;
}

/** Memory that an encoded notification takes beside its payload, about. */
const overheadBytes = 300;

/** Memory that it takes while it waits to be written, about. */
export function encodedBytes(notification: EncodedNotification): number {
  return notification.payloadBytes + overheadBytes;
}

const maxEpochSeconds = 0xffff_ffff;
const maxCollapseIdBytes = 64;

const deliveryFields = [
  'payload',
  'truncate',
  'ttl',
  'expiresAt',
  'priority',
  'pushType',
  'collapseId',
] as const satisfies readonly (keyof NotificationDefaults)[];
const callFields = [
  'app',
  'lane',
  'sendAt',
  'idempotencyKey',
] as const satisfies readonly (keyof CallOptions)[];

/** What stands beside the content, where notifications share their delivery, are one of many, or are a call. */
export const besideContent = {
  delivery: new Set<string>(deliveryFields),
  notification: new Set<string>([...deliveryFields, 'token']),
  call: new Set<string>([...deliveryFields, 'token', ...callFields]),
} as const;

/**
 * @param besides Which fields of the input are no content.
 * Throws `PushQueueError` `invalid-notification`, `PayloadError` or `DeviceTokenError`.
 */
export function encodeNotification(
  input: NotificationInput,
  context: EncodingContext,
  besides: ReadonlySet<string> = besideContent.notification,
): EncodedNotification {
  const token = parseToken(input.token);
  return encodeParts(token, encodePayload(input, context.traits, besides), input, context);
}

export interface DeliveryParts {
  readonly ttl?: unknown;
  readonly expiresAt?: unknown;
  readonly priority?: unknown;
  readonly collapseId?: unknown;
}

/** What a frame of the binary protocol says without a push type: it has no place for one. */
const binaryPushTypes: ReadonlySet<string> = new Set<PushType>(['alert', 'background', 'mdm']);

/** What the binary protocol has no place for is refused: it would be dropped on the way. */
function checkBinary(token: DeviceToken, pushType: PushType, { collapseId }: DeliveryParts): void {
  const why = "the app's transport is binary";
  if (!binaryPushTypes.has(pushType)) {
    throw invalidField('pushType', `${why}, which cannot carry ${pushType}; it needs an app on http2`);
  }
  if (collapseId !== undefined) {
    throw invalidField('collapseId', `${why}, which has no collapse ids; it needs an app on http2`);
  }
  if (token.length > maxBinaryTokenBytes * 2) {
    throw invalidField(
      'token',
      `has ${token.length / 2} bytes; ${why}, which carries at most ${maxBinaryTokenBytes}`,
    );
  }
}

/** Puts a token, a checked payload and the delivery fields together. */
export function encodeParts(
  token: DeviceToken,
  encoded: EncodedPayload,
  delivery: DeliveryParts,
  context: EncodingContext,
): EncodedNotification {
  // Field by field: this is the hot path.
  const { pushType } = encoded;
  const { traits } = context;
  if (traits.transport === 'binary') checkBinary(token, pushType, delivery);
  return {
    token,
    payload: encoded.text,
    payloadBytes: encoded.bytes,
    expiration: parseExpiration(pushType, delivery.ttl, delivery.expiresAt, context),
    priority: parsePriority(delivery.priority, encoded, traits),
    pushType,
    collapseId: parseCollapseId(delivery.collapseId),
  };
}

/** Checks and encodes what many devices get alike. Throws as `encodeNotification` does. */
export function encodeDelivery(input: NotificationDefaults, context: EncodingContext): EncodedDelivery {
  return encodeParts(noToken, encodePayload(input, context.traits, besideContent.delivery), input, context);
}

/** Where it is not known yet. */
export const noToken = '' as DeviceToken;

export function parseToken(token: unknown): DeviceToken {
  if (token === undefined) throw invalidField('token', 'is missing');
  if (typeof token !== 'string') throw invalidField('token', 'must be text, such as 64 hex digits');
  return parseDeviceToken(token);
}

function parsePriority(
  value: unknown,
  { requiredPriority, pushType }: EncodedPayload,
  traits: AppTraits,
): 10 | 5 | 1 {
  if (value === undefined) return requiredPriority ?? 10;
  if (value !== 10 && value !== 5 && value !== 1) throw invalidField('priority', 'must be 10, 5 or 1');
  if (requiredPriority !== undefined && value !== requiredPriority) {
    throw invalidField('priority', `must be ${requiredPriority} for a background push`);
  }
  if (value === 1 && traits.transport === 'binary') {
    throw invalidField('priority', 'must be 10 or 5 on the binary protocol');
  }
  if (value === 1 && pushType === 'liveactivity') {
    throw invalidField('priority', 'must be 10 or 5 for a Live Activity');
  }
  return value;
}

function parseCollapseId(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value === 'string' && value.length <= maxCollapseIdBytes && headerValue.test(value))
    return value;
  throw invalidField(
    'collapseId',
    `must be 1 to ${maxCollapseIdBytes} characters of ASCII, without a space at either end`,
  );
}

/** Becomes a header: visible ASCII, so that bytes are characters, and no space that a header would lose. */
const headerValue = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** Of use at once or never; Apple asks for an expiration of 0, or of a few seconds. */
const nowOrNever: ReadonlySet<string> = new Set<PushType>(['voip', 'pushtotalk']);

function parseExpiration(
  pushType: PushType,
  ttl: unknown,
  expiresAt: unknown,
  context: EncodingContext,
): number {
  const startSeconds = Math.floor(context.startMs / 1000);
  if (expiresAt !== undefined) {
    if (ttl !== undefined) throw invalidField('expiresAt', 'cannot stand beside `ttl`');
    const seconds = Math.floor(parseTime('expiresAt', expiresAt) / 1000);
    if (seconds > maxEpochSeconds) throw invalidField('expiresAt', 'is too far ahead');
    if (seconds <= startSeconds) throw invalidField('expiresAt', 'is past by the time it may be sent');
    return seconds;
  }
  const seconds = ttl === undefined ? (nowOrNever.has(pushType) ? 0 : context.defaultTtlSeconds) : ttl;
  if (!Number.isSafeInteger(seconds) || (seconds as number) < 0) {
    throw invalidField('ttl', 'must be a whole number of seconds from 0 on');
  }
  return seconds === 0 ? 0 : Math.min(startSeconds + (seconds as number), maxEpochSeconds);
}
