import { type Aps, checkAps, type Payload, requiredPriority } from './aps.ts';
import { checkJson, isPlainObject } from './json-value.ts';
import { type PayloadContent, payloadOf } from './payload-content.ts';
import { invalid, PayloadError } from './payload-error.ts';
import { shortenText } from './shorten.ts';

export interface PayloadOptions {
  /** Most UTF-8 bytes allowed; one of `payloadLimits`. */
  readonly limit: number;
  /** Shorten the alert's body, with an ellipsis, when the payload is over the limit. Default: refuse it. */
  readonly truncate?: boolean;
}

export interface ContentOptions extends PayloadOptions {
  /** Names of what stands in the same object and is no content: passed over. */
  readonly besides?: ReadonlySet<string>;
}

export interface RawPayloadOptions extends PayloadOptions {
  /** Whether there must be an `aps`: not in MDM and Wallet pushes. Default true. */
  readonly apsRequired?: boolean;
}

export interface EncodedPayload {
  /** JSON. */
  readonly text: string;
  /** The payload's size: bytes of the text in UTF-8. */
  readonly bytes: number;
  /** The alert's body was shortened to fit. */
  readonly truncated: boolean;
  /** The one priority that this push may have, if there is only one. */
  readonly requiredPriority: 5 | undefined;
}

/**
 * Builds the payload of a push. Throws `PayloadError`: `payload-invalid` with the field, or `payload-too-large`.
 */
export function buildPayload(content: PayloadContent, options: ContentOptions): EncodedPayload {
  return encodeRawPayload(payloadOf(content, options.besides), options);
}

/** Checks a payload that is in Apple's names already, and encodes it. Throws as `buildPayload` does. */
export function encodeRawPayload(payload: unknown, options: RawPayloadOptions): EncodedPayload {
  checkPayload(payload, options.apsRequired ?? true);
  const priority = requiredPriority(payload.aps);
  const text = JSON.stringify(payload);
  const bytes = Buffer.byteLength(text);
  if (bytes <= options.limit) return { text, bytes, truncated: false, requiredPriority: priority };
  if (options.truncate !== true) throw tooLarge('payload', `${bytes} bytes`, options.limit);
  const shortened = JSON.stringify(shortenAlert(payload, bytes, options.limit));
  return {
    text: shortened,
    bytes: Buffer.byteLength(shortened),
    truncated: true,
    requiredPriority: priority,
  };
}

function checkPayload(payload: unknown, apsRequired: boolean): asserts payload is Payload {
  if (!isPlainObject(payload)) throw invalid('payload', 'must be an object');
  if (payload.aps !== undefined) checkAps(payload.aps);
  else if (apsRequired) throw invalid('aps', 'is missing');
  for (const key in payload) {
    if (key === 'aps' || payload[key] === undefined) continue;
    if (!key.isWellFormed()) throw invalid('payload', 'has a key with half a character (a lone surrogate)');
    checkJson(key, payload[key], 0);
  }
}

function shortenAlert(payload: Payload, size: number, limit: number): Payload {
  const aps: Aps = payload.aps ?? {};
  const { alert } = aps;
  if (typeof alert === 'string') {
    return { ...payload, aps: { ...aps, alert: shorten('aps.alert', alert, size, limit) } };
  }
  if (alert?.body === undefined)
    throw tooLarge('payload', `${size} bytes, and no alert body to shorten`, limit);
  const body = shorten('aps.alert.body', alert.body, size, limit);
  return { ...payload, aps: { ...aps, alert: { ...alert, body } } };
}

function shorten(field: string, text: string, size: number, limit: number): string {
  const shortened = shortenText(text, size - limit);
  if (shortened === undefined)
    throw tooLarge(field, `payload of ${size} bytes, too much beside this text`, limit);
  return shortened;
}

function tooLarge(field: string, what: string, limit: number): PayloadError {
  return new PayloadError('payload-too-large', field, `${what}; the limit is ${limit}`);
}
