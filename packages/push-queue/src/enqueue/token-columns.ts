import { createHash } from 'node:crypto';
import { maxDeviceTokenBytes, minDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import type { CheckedTokens } from '../push-job/encode.ts';
import { invalidField } from './notification-defect.ts';
import { maxTokensPerCall, type TokenColumns } from './notification-input.ts';

// Many devices, one payload: tokens come as bytes and stay bytes, so that a broadcast costs no object per device.

/** Throws `PushQueueError` `invalid-notification`. */
export function checkTokens({ tokens, tokenLength = 32 }: TokenColumns): CheckedTokens {
  if (!(tokens instanceof Uint8Array)) throw invalidField('tokens', 'must be bytes');
  const bytes = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  if (typeof tokenLength === 'number') {
    checkLength(tokenLength);
    const count = bytes.length / tokenLength;
    if (!Number.isInteger(count)) {
      throw invalidField(
        'tokens',
        `has ${bytes.length} bytes, which is no number of tokens of ${tokenLength}`,
      );
    }
    checkCount(count);
    return { bytes, count, lengths: tokenLength };
  }
  const lengths = Array.from(tokenLength);
  checkCount(lengths.length);
  let sum = 0;
  for (const length of lengths) {
    checkLength(length);
    sum += length;
  }
  if (sum !== bytes.length) {
    throw invalidField('tokenLength', `adds up to ${sum} bytes, and tokens has ${bytes.length}`);
  }
  return { bytes, count: lengths.length, lengths };
}

/** Stands for the tokens where calls are compared. */
export function digestOf({ tokens, tokenLength = 32 }: TokenColumns): string {
  const lengths = typeof tokenLength === 'number' ? String(tokenLength) : tokenLength.join();
  return createHash('sha256').update(tokens).update(lengths).digest('base64url');
}

function checkLength(length: number): void {
  if (Number.isInteger(length) && length >= minDeviceTokenBytes && length <= maxDeviceTokenBytes) return;
  throw invalidField('tokenLength', `must be ${minDeviceTokenBytes} to ${maxDeviceTokenBytes} bytes`);
}

function checkCount(count: number): void {
  if (count >= 1 && count <= maxTokensPerCall) return;
  throw invalidField('tokens', `must be 1 to ${maxTokensPerCall} tokens, not ${count}`);
}
