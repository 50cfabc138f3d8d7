import { ApnsWireError } from '../errors.ts';
import { Command } from './command.ts';

/**
 * The gateway's one word on a connection (`docs/protocol/binary.md#error-response`); what a status means:
 * `ErrorStatus`.
 */
export interface ErrorResponse {
  readonly status: number;
  /** Identifier of the frame meant; 0: which one is unknown. For shutdown, the last one sent successfully. */
  readonly identifier: number;
}

/** 08 · status u8 · identifier u32 */
export const errorResponseLength = 1 + 1 + 4;

export function encodeErrorResponse({ status, identifier }: ErrorResponse): Buffer {
  const packet = Buffer.alloc(errorResponseLength);
  packet[0] = Command.errorResponse;
  packet.writeUInt8(status, 1);
  packet.writeUInt32BE(identifier, 2);
  return packet;
}

/**
 * Reads the error-response packet, split anywhere. The gateway sends one and closes: bytes after it mean nothing and
 * are only counted. A first byte other than 8 throws `unknown-command`; after a throw the decoder is done.
 */
export class ErrorResponseDecoder {
  /** Bytes that came after the packet. */
  surplusBytes = 0;

  readonly #packet = Buffer.alloc(errorResponseLength);
  #filled = 0;
  #error: ApnsWireError | undefined;

  /** Bytes of a packet that has not come in completely. At the end of the stream: 0, or the packet was cut. */
  get pendingBytes(): number {
    return this.#filled % errorResponseLength;
  }

  /** Returns the packet with the chunk that completes it, else undefined. */
  push(chunk: Uint8Array): ErrorResponse | undefined {
    if (this.#error !== undefined) throw this.#error;
    const taken = Math.min(chunk.length, errorResponseLength - this.#filled);
    this.#packet.set(chunk.subarray(0, taken), this.#filled);
    this.#filled += taken;
    this.surplusBytes += chunk.length - taken;
    if (this.#filled > 0 && this.#packet[0] !== Command.errorResponse) {
      this.#error = new ApnsWireError(
        'unknown-command',
        `command ${this.#packet[0]} from the gateway: expected ${Command.errorResponse}, an error-response packet`,
      );
      throw this.#error;
    }
    if (taken === 0 || this.#filled < errorResponseLength) return undefined;
    return { status: this.#packet.readUInt8(1), identifier: this.#packet.readUInt32BE(2) };
  }
}
