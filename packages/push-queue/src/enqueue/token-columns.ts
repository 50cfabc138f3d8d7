import { createHash } from 'node:crypto';
import { maxDeviceTokenBytes, minDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import { maxJobNotifications, type PushJobData } from '../push-job.ts';
import type { EncodedDelivery } from './encode-notification.ts';
import { invalidField } from './notification-defect.ts';

// Many devices, one payload: tokens come as bytes and stay bytes, so that a broadcast costs no object per device.

/** Device tokens back to back. */
export interface TokenColumns {
  readonly tokens: Uint8Array;
  /** Length of each in bytes; one number: all the same. Default 32, the usual length. */
  readonly tokenLength?: number | readonly number[] | Uint8Array;
}

/** Devices that one call may name. */
export const maxTokensPerCall = 50_000;

/** Tokens whose lengths have been checked against their bytes. */
export interface CheckedTokens {
  readonly bytes: Buffer;
  readonly count: number;
  /** One number: all the same. */
  readonly lengths: number | readonly number[];
}

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

export interface TokenJobsHead {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
}

/** The push jobs of devices that get the same. */
export function buildTokenJobs(
  head: TokenJobsHead,
  { bytes, count, lengths }: CheckedTokens,
  delivery: EncodedDelivery,
): PushJobData[] {
  const { payload, payloadBytes, expiration, priority, pushType, collapseId } = delivery;
  const shared = {
    payloads: Buffer.from(payload).toString('base64'),
    payloadLength: [payloadBytes],
    expiration,
    priority,
    ...(pushType === 'alert' ? {} : { pushType }),
    ...(collapseId === null ? {} : { collapseId }),
  };
  const enqueuedAtMs = Date.now();
  const jobs: PushJobData[] = [];
  let offset = 0;
  for (let from = 0; from < count; from += maxJobNotifications) {
    const size = Math.min(maxJobNotifications, count - from);
    const ownLengths = typeof lengths === 'number' ? lengths : lengths.slice(from, from + size);
    const end =
      offset +
      (typeof ownLengths === 'number'
        ? ownLengths * size
        : ownLengths.reduce((sum, length) => sum + length, 0));
    jobs.push({
      v: 1,
      ...head,
      batchSize: count,
      count: size,
      index: from + 1,
      enqueuedAtMs,
      tokens: bytes.toString('base64', offset, end),
      tokenLength: ownLengths as number | number[],
      ...shared,
    });
    offset = end;
  }
  return jobs;
}
