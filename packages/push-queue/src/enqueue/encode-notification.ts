import { type DeviceToken, parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { buildPayload, type EncodedPayload, encodeRawPayload } from '@pushfleet/apns-wire/payload';
import { type AppTraits, payloadLimit } from './app-directory.ts';
import { invalidField } from './notification-defect.ts';
import {
  type NotificationDefaults,
  type NotificationInput,
  type PushType,
  pushTypes,
  type TimeInput,
} from './notification-input.ts';

// Checks and encodes by hand: single sends come at tens of thousands a second, and each is checked on its own.

/** What is sent and how, whoever gets it, as a push job holds it. */
export interface EncodedDelivery {
  /** UTF-8 JSON. Notifications that share one share the buffer. */
  readonly payload: Buffer;
  /** Epoch seconds; 0: do not store. */
  readonly expiration: number;
  readonly priority: 10 | 5 | 1;
  readonly pushType: PushType;
  readonly collapseId: string | null;
}

/** A notification as a push job holds it. */
export interface EncodedNotification extends EncodedDelivery {
  readonly token: DeviceToken;
}

export interface EncodingContext {
  readonly traits: AppTraits;
  /** When it may be sent from on, epoch milliseconds: `ttl` counts from here. */
  readonly startMs: number;
  readonly defaultTtlSeconds: number;
}

const maxEpochSeconds = 0xffff_ffff;
const maxCollapseIdBytes = 64;

/** Throws `PushQueueError` `invalid-notification`, `PayloadError` or `DeviceTokenError`. */
export function encodeNotification(input: NotificationInput, context: EncodingContext): EncodedNotification {
  const { token, payload, truncate, ttl, expiresAt, priority, pushType, collapseId, ...content } = input;
  return encodeParts(
    parseToken(token),
    encodePayload({ payload, truncate, pushType, content }, context.traits),
    { ttl, expiresAt, priority, pushType, collapseId },
    context,
  );
}

export interface PayloadParts {
  readonly payload: unknown;
  readonly truncate: unknown;
  readonly pushType: unknown;
  readonly content: object;
}

export interface DeliveryParts {
  readonly ttl: unknown;
  readonly expiresAt: unknown;
  readonly priority: unknown;
  readonly pushType: unknown;
  readonly collapseId: unknown;
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
    payload: encoded.bytes,
    expiration: parseExpiration(delivery.ttl, delivery.expiresAt, context),
    priority: parsePriority(delivery.priority, background, context.traits),
    pushType: pushType ?? (background ? 'background' : 'alert'),
    collapseId: parseCollapseId(delivery.collapseId),
  };
}

/** Checks and encodes what many devices get alike. Throws as `encodeNotification` does. */
export function encodeDelivery(input: NotificationDefaults, context: EncodingContext): EncodedDelivery {
  const { payload, truncate, ttl, expiresAt, priority, pushType, collapseId, ...content } = input;
  const encoded = encodePayload({ payload, truncate, pushType, content }, context.traits);
  return encodeParts(noToken, encoded, { ttl, expiresAt, priority, pushType, collapseId }, context);
}

const noToken = '' as DeviceToken;

export function parseToken(token: unknown): DeviceToken {
  if (typeof token !== 'string') throw invalidField('token', 'must be a string');
  return parseDeviceToken(token);
}

export function encodePayload(parts: PayloadParts, traits: AppTraits): EncodedPayload {
  const { payload, truncate, content } = parts;
  if (truncate !== undefined && typeof truncate !== 'boolean') {
    throw invalidField('truncate', 'must be true or false');
  }
  const pushType = parsePushType(parts.pushType);
  const options = { limit: payloadLimit(traits, pushType), truncate: truncate ?? false };
  if (payload === undefined) {
    if (!hasContent(content)) throw invalidField('alert', 'is missing: there is nothing to send');
    return buildPayload(content, options);
  }
  if (hasContent(content)) {
    const [field] = Object.keys(content);
    throw invalidField(field!, 'cannot stand beside `payload`, which is the whole');
  }
  return encodeRawPayload(payload, { ...options, apsRequired: pushType !== 'mdm' });
}

export function hasContent(content: object): boolean {
  for (const key in content) if (content[key as keyof typeof content] !== undefined) return true;
  return false;
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
