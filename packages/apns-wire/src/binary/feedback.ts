import { ApnsWireError } from '../errors.ts';
import { maxDeviceTokenBytes } from './command.ts';

/** One entry of the feedback service (`docs/protocol/feedback.md#tuples`). */
export interface FeedbackTuple {
  /** When APNs found the app gone from the device, epoch SECONDS. */
  readonly timestamp: number;
  readonly token: Uint8Array;
}

/** time u32 · token length u16 · token */
const feedbackHeaderLength = 4 + 2;

/** Throws `field-out-of-range` for a token longer than 65,535 bytes. */
export function encodeFeedbackTuple({ timestamp, token }: FeedbackTuple): Buffer {
  if (token.length > 0xffff) {
    throw new ApnsWireError(
      'field-out-of-range',
      `feedback token: ${token.length} bytes do not fit in a length of 16 bits`,
    );
  }
  const tuple = Buffer.alloc(feedbackHeaderLength + token.length);
  tuple.writeUInt32BE(timestamp, 0);
  tuple.writeUInt16BE(token.length, 4);
  tuple.set(token, feedbackHeaderLength);
  return tuple;
}

/**
 * Reads the tuples of the feedback service, split anywhere: `push` a chunk, then call `next` until it gives
 * undefined. Tuples are values of their own.
 *
 * Reading clears the list at the gateway, so no byte may go astray: `remainder` has whatever has not become a tuple,
 * also after a throw. A token longer than 100 bytes throws `token-too-long` (the stream makes no sense from there
 * on), after every tuple before it has been given; after a throw the decoder is done.
 */
export class FeedbackDecoder {
  #bytes: Buffer = Buffer.alloc(0);
  #offset = 0;
  #error: ApnsWireError | undefined;

  /** Bytes that have not become a tuple; at the end of the stream, the trailing partial one. */
  get remainder(): Buffer {
    return this.#bytes.subarray(this.#offset);
  }

  push(chunk: Uint8Array): void {
    if (this.#error !== undefined) throw this.#error;
    this.#bytes = Buffer.concat([this.remainder, chunk]);
    this.#offset = 0;
  }

  /** The next tuple; undefined when more bytes are needed. */
  next(): FeedbackTuple | undefined {
    if (this.#error !== undefined) throw this.#error;
    const available = this.#bytes.length - this.#offset;
    if (available < feedbackHeaderLength) return undefined;
    const tokenLength = this.#bytes.readUInt16BE(this.#offset + 4);
    if (tokenLength > maxDeviceTokenBytes) {
      this.#error = new ApnsWireError(
        'token-too-long',
        `feedback token of ${tokenLength} bytes: the limit is ${maxDeviceTokenBytes}`,
      );
      throw this.#error;
    }
    const length = feedbackHeaderLength + tokenLength;
    if (available < length) return undefined;
    const start = this.#offset;
    this.#offset += length;
    return {
      timestamp: this.#bytes.readUInt32BE(start),
      token: Buffer.from(this.#bytes.subarray(start + feedbackHeaderLength, start + length)),
    };
  }
}
