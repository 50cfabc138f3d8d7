import { type PayloadRoute, payloadLimit } from '../payload-limits.ts';
import { type Aps, checkAps, type Payload } from './aps.ts';
import { checkJson, checkKey, isPlainObject } from './json-value.ts';
import { contentPath, type PayloadContent, payloadOf } from './payload-content.ts';
import { invalid, PayloadError } from './payload-error.ts';
import {
  isKnownPushType,
  isPushType,
  type PushType,
  pushTypeOf,
  pushTypes,
  requiredPriority,
} from './push-type.ts';
import { shortenText } from './shorten.ts';

export interface PayloadOptions {
  /** Most UTF-8 bytes allowed; one of `payloadLimits`. */
  readonly limit: number;
  /** Shorten the alert's body, with an ellipsis, when the payload is over the limit. Default: refuse it. */
  readonly truncate?: boolean;
  /** Absent: what the payload holds says it. */
  readonly pushType?: PushType | undefined;
}

export interface ContentOptions extends PayloadOptions {
  /** Names of what stands in the same object and is no content: passed over. */
  readonly besides?: ReadonlySet<string>;
}

export interface EncodedPayload {
  /** JSON. */
  readonly text: string;
  /** The payload's size: bytes of the text in UTF-8. */
  readonly bytes: number;
  /** The alert's body was shortened to fit. */
  readonly truncated: boolean;
  readonly pushType: PushType;
  /** The one priority that this push may have, if there is only one. */
  readonly requiredPriority: 5 | undefined;
}

/**
 * Builds the payload of a push. Throws `PayloadError`: `payload-invalid` with the field as the content has it, or
 * `payload-too-large`.
 */
export function buildPayload(content: PayloadContent, options: ContentOptions): EncodedPayload {
  const payload = payloadOf(content, options.besides);
  try {
    return encode(payload, options, contentPlaces);
  } catch (error) {
    if (!(error instanceof PayloadError) || !error.field.startsWith(`${contentPlaces.aps}.`)) throw error;
    const reason = error.message.slice(error.field.length + 2);
    throw new PayloadError(error.code, contentPath(error.field), reason);
  }
}

/** Checks a payload that is in Apple's names already, and encodes it. Throws as `buildPayload` does. */
export function encodeRawPayload(payload: unknown, options: PayloadOptions): EncodedPayload {
  return encode(payload, options, rawPlaces);
}

/** What a payload is made from: content fields, or a whole payload in Apple's names instead. */
export interface PayloadInput extends PayloadContent {
  readonly payload?: Payload;
  /** Shorten the alert's body when the payload is over the limit. Default: refuse. */
  readonly truncate?: boolean;
  readonly pushType?: PushType;
}

/**
 * Encodes the payload of a notification, whichever way it is given. Throws as `buildPayload` does.
 * @param besides Which fields of the input are no content.
 */
export function encodePayload(
  input: PayloadInput,
  route: PayloadRoute,
  besides: ReadonlySet<string>,
): EncodedPayload {
  const { payload, truncate = false, pushType } = input;
  if (typeof truncate !== 'boolean') throw invalid('truncate', 'must be true or false');
  if (pushType !== undefined && !isPushType(pushType)) {
    throw invalid('pushType', `must be one of ${pushTypes.join(', ')}`);
  }
  const content = firstContentField(input, besides);
  const options = { limit: payloadLimit(route, pushType), truncate, pushType };
  if (payload === undefined) {
    if (pushType !== undefined && !isKnownPushType(pushType)) {
      const known = pushTypes.join(', ');
      throw invalid('pushType', `must be one of ${known}; a newer one is taken together with \`payload\``);
    }
    if (content === undefined) throw invalid('alert', 'is missing: there is nothing to send');
    return buildPayload(input, { ...options, besides });
  }
  if (content === undefined) return encodeRawPayload(payload, options);
  // In the order of the alphabet, so that the same is said however the fields are ordered.
  const [field = content] = Object.entries(input)
    .filter(([key, value]) => value !== undefined && !besides.has(key))
    .map(([key]) => key)
    .toSorted();
  throw invalid(field, 'cannot stand beside `payload`, which is the whole');
}

/** Undefined: there is no content in it. */
export function firstContentField(input: object, besides: ReadonlySet<string>): string | undefined {
  for (const key in input) {
    if (!besides.has(key) && input[key as keyof typeof input] !== undefined) return key;
  }
  return undefined;
}

/** Where the parts of a payload are, for errors. */
interface Places {
  readonly aps: string;
  /** Of the app's own keys. */
  readonly own: string;
}
const rawPlaces: Places = { aps: 'payload.aps', own: 'payload' };
/** Fields of `aps` are renamed in errors. */
const contentPlaces: Places = { aps: 'aps', own: 'custom' };

function encode(payload: unknown, options: PayloadOptions, places: Places): EncodedPayload {
  checkPayload(payload, places);
  const pushType = pushTypeOf(payload, options.pushType, places.aps);
  const isPlain = pushType === 'alert' || pushType === 'background';
  const facts = { pushType, requiredPriority: isPlain ? requiredPriority(payload.aps) : undefined };
  const text = JSON.stringify(payload);
  const bytes = Buffer.byteLength(text);
  if (bytes <= options.limit) return { text, bytes, truncated: false, ...facts };
  if (options.truncate !== true) throw tooLarge('payload', `${bytes} bytes`, options.limit);
  const shortened = JSON.stringify(shortenAlert(payload, bytes, options.limit, places.aps));
  return { text: shortened, bytes: Buffer.byteLength(shortened), truncated: true, ...facts };
}

function checkPayload(payload: unknown, { aps, own }: Places): asserts payload is Payload {
  if (!isPlainObject(payload)) {
    throw invalid('payload', 'must be an object, such as {"aps":{"alert":"Hello"}}');
  }
  if (payload.aps !== undefined) checkAps(aps, payload.aps);
  for (const key of Object.keys(payload)) {
    if (key === 'aps' || payload[key] === undefined) continue;
    checkKey(own, key);
    checkJson(`${own}.${key}`, payload[key], 0);
  }
}

function shortenAlert(payload: Payload, size: number, limit: number, path: string): Payload {
  const aps: Aps = payload.aps ?? {};
  const { alert } = aps;
  if (typeof alert === 'string') {
    return { ...payload, aps: { ...aps, alert: shorten(`${path}.alert`, alert, size, limit) } };
  }
  const text = alert?.body;
  if (typeof text !== 'string')
    throw tooLarge('payload', `${size} bytes, and no alert body to shorten`, limit);
  const body = shorten(`${path}.alert.body`, text, size, limit);
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
