import { type DeviceToken, parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { buildPayload, type EncodedPayload, encodeRawPayload } from '@pushfleet/apns-wire/payload';
import { type AppTraits, payloadLimit } from './app-directory.ts';
import { invalidField } from './notification-defect.ts';
import {
  type CallOptions,
  type NotificationDefaults,
  type NotificationInput,
  type PushType,
  pushTypes,
  type TimeInput,
} from './notification-input.ts';

// Checks and encodes by hand: single sends come at tens of thousands a second, and each is checked on its own.

/** What is sent and how, whoever gets it, as a push job holds it. */
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

/** A notification as a push job holds it. */
export interface EncodedNotification extends EncodedDelivery {
  readonly token: DeviceToken;
  /** Trace context of its caller, where it is sampled. */
  readonly traceparent?: string;
}

/** Memory that an encoded notification takes beside its payload, about. */
const overheadBytes = 300;

/** Memory that it takes while it waits to be written, about. */
export function encodedBytes(notification: EncodedNotification): number {
  return notification.payloadBytes + overheadBytes;
}

export interface EncodingContext {
  readonly traits: AppTraits;
  /** When it may be sent from on, epoch milliseconds: `ttl` counts from here. */
  readonly startMs: number;
  readonly defaultTtlSeconds: number;
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
  readonly pushType?: unknown;
  readonly collapseId?: unknown;
}

/** Puts a token, a checked payload and the delivery fields together. */
export function encodeParts(
  token: DeviceToken,
  encoded: EncodedPayload,
  delivery: DeliveryParts,
  context: EncodingContext,
): EncodedNotification {
  // Field by field: this is the hot path.
  const pushType = parsePushType(delivery.pushType);
  const background = pushType === 'background' || (pushType === undefined && encoded.requiredPriority === 5);
  return {
    token,
    payload: encoded.text,
    payloadBytes: encoded.bytes,
    expiration: parseExpiration(delivery.ttl, delivery.expiresAt, context),
    priority: parsePriority(delivery.priority, background, context.traits),
    pushType: pushType ?? (background ? 'background' : 'alert'),
    collapseId: parseCollapseId(delivery.collapseId),
  };
}

/** Checks and encodes what many devices get alike. Throws as `encodeNotification` does. */
export function encodeDelivery(input: NotificationDefaults, context: EncodingContext): EncodedDelivery {
  return encodeParts(noToken, encodePayload(input, context.traits, besideContent.delivery), input, context);
}

const noToken = '' as DeviceToken;

export function parseToken(token: unknown): DeviceToken {
  if (typeof token !== 'string') throw invalidField('token', 'must be a string');
  return parseDeviceToken(token);
}

export function encodePayload(
  input: NotificationDefaults,
  traits: AppTraits,
  besides: ReadonlySet<string>,
): EncodedPayload {
  const { payload, truncate } = input;
  if (truncate !== undefined && typeof truncate !== 'boolean') {
    throw invalidField('truncate', 'must be true or false');
  }
  const pushType = parsePushType(input.pushType);
  const limit = payloadLimit(traits, pushType);
  const content = firstContentField(input, besides);
  if (payload === undefined) {
    if (content === undefined) throw invalidField('alert', 'is missing: there is nothing to send');
    return buildPayload(input, { limit, truncate: truncate ?? false, besides });
  }
  if (content !== undefined) {
    throw invalidField(content, 'cannot stand beside `payload`, which is the whole');
  }
  return encodeRawPayload(payload, { limit, truncate: truncate ?? false, apsRequired: pushType !== 'mdm' });
}

/** Undefined: there is no content in it. */
export function firstContentField(input: object, besides: ReadonlySet<string>): string | undefined {
  for (const key in input) {
    if (!besides.has(key) && input[key as keyof typeof input] !== undefined) return key;
  }
  return undefined;
}

function parsePushType(value: unknown): PushType | undefined {
  if (value === undefined || (pushTypes as readonly unknown[]).includes(value)) return value as PushType;
  throw invalidField('pushType', `must be one of ${pushTypes.join(', ')}`);
}

function parsePriority(value: unknown, background: boolean, traits: AppTraits): 10 | 5 | 1 {
  if (value === undefined) return background ? 5 : 10;
  if (value !== 10 && value !== 5 && value !== 1) throw invalidField('priority', 'must be 10, 5 or 1');
  if (background && value === 10) throw invalidField('priority', 'must be 5 for a background push');
  if (value === 1 && traits.transport === 'binary') {
    throw invalidField('priority', 'must be 10 or 5 on the binary protocol');
  }
  return value;
}

function parseCollapseId(value: unknown): string | null {
  if (value === undefined) return null;
  // Becomes a header: visible ASCII only, so that bytes are characters.
  if (typeof value === 'string' && /^[\x20-\x7e]{1,64}$/.test(value)) return value;
  throw invalidField('collapseId', `must be 1 to ${maxCollapseIdBytes} characters of ASCII`);
}

function parseExpiration(ttl: unknown, expiresAt: unknown, context: EncodingContext): number {
  const startSeconds = Math.floor(context.startMs / 1000);
  if (expiresAt !== undefined) {
    if (ttl !== undefined) throw invalidField('expiresAt', 'cannot stand beside `ttl`');
    const seconds = Math.floor(parseTime('expiresAt', expiresAt) / 1000);
    if (seconds > maxEpochSeconds) throw invalidField('expiresAt', 'is too far ahead');
    if (seconds <= startSeconds) throw invalidField('expiresAt', 'is past by the time it may be sent');
    return seconds;
  }
  const seconds = ttl ?? context.defaultTtlSeconds;
  if (!Number.isInteger(seconds) || (seconds as number) < 0) {
    throw invalidField('ttl', 'must be a whole number of seconds from 0 on');
  }
  return seconds === 0 ? 0 : Math.min(startSeconds + (seconds as number), maxEpochSeconds);
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** Gives epoch milliseconds. */
export function parseTime(field: string, value: TimeInput | unknown): number {
  let time = Number.NaN;
  if (typeof value === 'number') time = value * 1000;
  else if (value instanceof Date) time = value.getTime();
  else if (typeof value === 'string' && isoTime.test(value)) time = Date.parse(value);
  if (Number.isFinite(time) && time >= 0) return time;
  throw invalidField(
    field,
    'must be epoch seconds or ISO 8601 text with a zone, such as 2030-01-31T12:00:00Z',
  );
}
