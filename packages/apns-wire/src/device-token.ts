import { ApnsWireError } from './errors.ts';

declare const brand: unique symbol;

/** A device token in the one form that is stored and compared: lower-case hex, 32 to 512 bytes. */
export type DeviceToken = string & { readonly [brand]: 'DeviceToken' };

export type DeviceTokenErrorCode =
  | 'device-token-malformed'
  | 'device-token-too-short'
  | 'device-token-too-long';

/** The text is no device token. The message says why, and never contains the text. */
export class DeviceTokenError extends ApnsWireError {
  override readonly name = 'DeviceTokenError';
  declare readonly code: DeviceTokenErrorCode;

  constructor(code: DeviceTokenErrorCode, reason: string) {
    super(code, `device token: ${reason}`);
  }
}

/** APNs has never issued a shorter one: less is a truncated token. */
export const minDeviceTokenBytes = 32;

/** Apple: make no assumption about the size. Tokens of 80 bytes have been seen; this is only a bound on what is stored. */
export const maxDeviceTokenBytes = 512;
/** Longest that the binary protocol allows. */
export const maxBinaryTokenBytes = 100;

/**
 * Reads a device token as it is found in the field: hex in either case, in groups of eight digits and in `<…>` as iOS
 * before 13 printed it, or base64 in either alphabet, padded or not. White space around it is passed over; inside,
 * only the spaces between those groups are, so that two tokens never become one.
 *
 * Text that is all hex digits is hex: 64 hex digits would also be base64 of 48 bytes, but of such bytes one in 10^29
 * looks like hex. Hex with an odd number of digits is a truncated token, never base64.
 *
 * @throws DeviceTokenError
 */
export function parseDeviceToken(text: string): DeviceToken {
  if (usualToken.test(text)) return text as DeviceToken;
  const trimmed = text.trim();
  if (trimmed === '') throw new DeviceTokenError('device-token-malformed', 'is empty');
  if (/^\{ ?length ?=/.test(trimmed)) {
    throw new DeviceTokenError(
      'device-token-malformed',
      'is the description that iOS 13 and later prints, with bytes left out; send the bytes themselves',
    );
  }
  const bracketed = trimmed.startsWith('<') && trimmed.endsWith('>');
  const inside = bracketed ? trimmed.slice(1, -1) : trimmed;
  if (hexDigits.test(inside)) return fromHex(inside);
  if (hexGroups.test(inside)) return fromHex(inside.replaceAll(' ', ''));
  if (/^[0-9a-fA-F\s]*$/.test(inside)) {
    throw new DeviceTokenError(
      'device-token-malformed',
      'has white space where no token has any; is it more than one token?',
    );
  }
  if (!bracketed && isBase64(trimmed)) return fromBase64(trimmed);
  throw new DeviceTokenError('device-token-malformed', `is neither hex nor base64, ${rightLength}`);
}

const rightLength = 'such as 64 hex digits';

const usualToken = /^[0-9a-f]{64}$/;
const hexDigits = /^[0-9a-fA-F]*$/;
/** As `Data` was described before iOS 13. */
const hexGroups = /^[0-9a-fA-F]{8}(?: [0-9a-fA-F]{8})*(?: [0-9a-fA-F]{1,7})?$/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
const base64url = /^[A-Za-z0-9_-]+={0,2}$/;

/** Shorter text is a word, not base64 of a token. */
const minBase64Length = Math.ceil((minDeviceTokenBytes / 2) * (4 / 3));

function isBase64(text: string): boolean {
  return text.length >= minBase64Length && (base64.test(text) || base64url.test(text));
}

function fromHex(digits: string): DeviceToken {
  if (digits.length % 2 !== 0) {
    throw new DeviceTokenError('device-token-malformed', `has ${digits.length} hex digits, an odd number`);
  }
  checkLength(digits.length / 2);
  return digits.toLowerCase() as DeviceToken;
}

function fromBase64(text: string): DeviceToken {
  // Node decodes what it can and skips the rest: only a text that comes out again was base64.
  const bytes = Buffer.from(text, 'base64');
  const unpadded = text.replace(/=+$/, '');
  const padded = unpadded.length === text.length || text.length % 4 === 0;
  const again = bytes
    .toString(text.includes('-') || text.includes('_') ? 'base64url' : 'base64')
    .replace(/=+$/, '');
  if (again !== unpadded || !padded) {
    throw new DeviceTokenError('device-token-malformed', 'is base64 cut short or with stray bits at its end');
  }
  checkLength(bytes.length);
  return bytes.toString('hex') as DeviceToken;
}

function checkLength(bytes: number): void {
  if (bytes < minDeviceTokenBytes) {
    throw new DeviceTokenError(
      'device-token-too-short',
      `has ${bytes} bytes, at least ${minDeviceTokenBytes} are needed`,
    );
  }
  if (bytes > maxDeviceTokenBytes) {
    throw new DeviceTokenError(
      'device-token-too-long',
      `has ${bytes} bytes, at most ${maxDeviceTokenBytes} are allowed`,
    );
  }
}
