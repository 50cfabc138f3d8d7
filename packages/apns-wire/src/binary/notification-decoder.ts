import { ApnsWireError } from '../errors.ts';
import type { BinaryNotification } from './binary-notification.ts';
import {
  Command,
  framedHeaderLength,
  ItemId,
  itemHeaderLength,
  maxDeviceTokenBytes,
  maxPayloadBytes,
  type NotificationCommand,
} from './command.ts';
import type { NotificationDefect } from './notification-defect.ts';

export interface NotificationDecoderOptions {
  /** Longest frame that is read, bytes with its header. Far above what a valid one needs, so that a payload over
   * the limit is still a frame, answered with status 7. Default 65,536. */
  readonly maxFrameBytes?: number;
}

/**
 * Reads frames of commands 0, 1 and 2 from a byte stream, as a gateway does.
 *
 * A cursor, so that nothing is allocated per frame: `push` a chunk, then call `next` until it gives false. While it
 * gives true, the fields describe the frame; they and the bytes behind them are valid until the next call of either
 * method. A gateway that stops at a defect simply stops calling, and drops the decoder.
 *
 * Any split of the stream gives the same frames. Frames that span chunks are gathered in a buffer of the decoder's
 * own, at most `maxFrameBytes`; the length is checked before anything is allocated. Wrong content is reported in
 * `defect`. Wrong framing throws `unknown-command` or `frame-too-long`, and after a throw the decoder is done: it
 * throws the same error again.
 */
export class NotificationDecoder {
  command: NotificationCommand = Command.simple;
  /** Where the frame lies: the chunk itself, or the decoder's buffer. */
  bytes: Uint8Array = emptyBytes;
  /** Offset and length of the token in `bytes`; length 0 when it is missing. */
  tokenStart = 0;
  tokenLength = 0;
  /** Offset and length of the payload in `bytes`; length 0 when it is missing. */
  payloadStart = 0;
  payloadLength = 0;
  /** 0 when the frame carries none. Read as far as possible from a defect frame. */
  identifier = 0;
  /** Epoch seconds; 0 (do not store) when the frame carries none. */
  expiration = 0;
  /** 10 when the frame carries none. */
  priority = 10;
  /** What is wrong with the frame's content, or null. */
  defect: NotificationDefect | null = null;

  readonly #maxFrameBytes: number;
  #chunk: Uint8Array = emptyBytes;
  #offset = 0;
  #carry: Uint8Array = emptyBytes;
  #carried = 0;
  #items = 0;
  #error: ApnsWireError | undefined;

  constructor(options: NotificationDecoderOptions = {}) {
    this.#maxFrameBytes = options.maxFrameBytes ?? 65_536;
  }

  /** Bytes of a frame that has not come in completely. At the end of the stream: 0, or the frame was cut. */
  get pendingBytes(): number {
    return this.#carried + this.#chunk.length - this.#offset;
  }

  /** Gives the decoder the next chunk of the stream, once `next` has given false for the one before. */
  push(chunk: Uint8Array): void {
    if (this.#offset < this.#chunk.length) throw new Error('push() before next() gave false loses frames');
    this.#chunk = chunk;
    this.#offset = 0;
  }

  /** Moves to the next frame; false when more bytes are needed. */
  next(): boolean {
    if (this.#error !== undefined) throw this.#error;
    if (this.#carried > 0) return this.#nextCarried();
    const chunk = this.#chunk;
    const start = this.#offset;
    const available = chunk.length - start;
    if (available === 0) return false;
    const length = this.#readLength(chunk, start, available);
    if (length > available) {
      this.#carryOver(available, length);
      return false;
    }
    this.#offset = start + length;
    this.#read(chunk, start, start + length);
    return true;
  }

  /** The frame as a value of its own, with the fields that it carried. */
  notification(): BinaryNotification {
    const has = (id: number) => (this.#items & (1 << id)) !== 0;
    return {
      command: this.command,
      token: Buffer.from(this.bytes.subarray(this.tokenStart, this.tokenStart + this.tokenLength)),
      payload: Buffer.from(this.bytes.subarray(this.payloadStart, this.payloadStart + this.payloadLength)),
      ...(has(ItemId.identifier) ? { identifier: this.identifier } : {}),
      ...(has(ItemId.expiration) ? { expiration: this.expiration } : {}),
      ...(has(ItemId.priority) ? { priority: this.priority } : {}),
    };
  }

  #nextCarried(): boolean {
    for (;;) {
      const length = this.#readLength(this.#carry, 0, this.#carried);
      if (length <= this.#carried) {
        this.#carried = 0;
        this.#read(this.#carry, 0, length);
        return true;
      }
      const available = this.#chunk.length - this.#offset;
      if (available === 0) return false;
      this.#carryOver(Math.min(available, length - this.#carried), length);
    }
  }

  /** Moves `count` bytes from the chunk to the buffer that gathers a frame of at least `length` bytes. */
  #carryOver(count: number, length: number): void {
    if (this.#carry.length < length) {
      const larger = Buffer.allocUnsafe(length);
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#carry.set(this.#chunk.subarray(this.#offset, this.#offset + count), this.#carried);
    this.#carried += count;
    this.#offset += count;
  }

  /**
   * Length of the frame at `start`, as far as the `available` bytes tell: when it is more than `available`, that
   * many are needed to know more.
   */
  #readLength(bytes: Uint8Array, start: number, available: number): number {
    const command = bytes[start];
    let length: number;
    if (command === Command.framed) {
      length = framedHeaderLength;
      if (available >= length) length += readU32(bytes, start + 1);
    } else if (command === Command.simple || command === Command.enhanced) {
      // 00 or 01 · (identifier u32 · expiry u32) · token length u16 · token · payload length u16 · payload
      length = (command === Command.simple ? 1 : 9) + 2;
      if (available >= length) {
        length += readU16(bytes, start + length - 2) + 2;
        if (available >= length) length += readU16(bytes, start + length - 2);
      }
    } else {
      throw this.#fail('unknown-command', `command ${command}: expected 0, 1 or 2`);
    }
    if (length > this.#maxFrameBytes) {
      throw this.#fail('frame-too-long', `frame of ${length} bytes: the limit is ${this.#maxFrameBytes}`);
    }
    return length;
  }

  #read(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.command = bytes[start] as NotificationCommand;
    this.tokenStart = start;
    this.tokenLength = 0;
    this.payloadStart = start;
    this.payloadLength = 0;
    this.identifier = 0;
    this.expiration = 0;
    this.priority = 10;
    this.#items = 0;
    const malformed =
      this.command === Command.framed
        ? this.#readItems(start + framedHeaderLength, end)
        : this.#readFields(start + 1);
    if (malformed !== null) this.defect = malformed;
    else if (this.tokenLength === 0) this.defect = 'missing-token';
    else if (this.tokenLength > maxDeviceTokenBytes) this.defect = 'token-too-long';
    else if (this.payloadLength === 0) this.defect = 'missing-payload';
    else if (this.payloadLength > maxPayloadBytes[this.command]) this.defect = 'payload-too-long';
    else this.defect = null;
  }

  #readFields(at: number): null {
    const bytes = this.bytes;
    if (this.command === Command.enhanced) {
      this.identifier = readU32(bytes, at);
      this.expiration = readU32(bytes, at + 4);
      this.#items = (1 << ItemId.identifier) | (1 << ItemId.expiration);
      at += 8;
    }
    this.tokenStart = at + 2;
    this.tokenLength = readU16(bytes, at);
    at += 2 + this.tokenLength;
    this.payloadStart = at + 2;
    this.payloadLength = readU16(bytes, at);
    return null;
  }

  /** Reads items in any order, to the end even after a defect: the identifier may come last. */
  #readItems(at: number, end: number): NotificationDefect | null {
    const bytes = this.bytes;
    let defect: NotificationDefect | null = null;
    while (at < end) {
      if (end - at < itemHeaderLength) return 'malformed-items';
      const id = bytes[at]!;
      const length = readU16(bytes, at + 1);
      at += itemHeaderLength;
      if (length > end - at) return 'malformed-items';
      // Other ids are skipped, so that a newer sender is understood.
      if (id >= ItemId.token && id <= ItemId.priority) {
        if ((this.#items & (1 << id)) !== 0) defect ??= 'repeated-item';
        else defect = this.#readItem(id, at, length) ?? defect;
        this.#items |= 1 << id;
      }
      at += length;
    }
    return defect;
  }

  #readItem(id: number, at: number, length: number): NotificationDefect | null {
    switch (id) {
      case ItemId.token:
        this.tokenStart = at;
        this.tokenLength = length;
        return null;
      case ItemId.payload:
        this.payloadStart = at;
        this.payloadLength = length;
        return null;
      case ItemId.identifier:
        if (length !== 4) return 'item-length';
        this.identifier = readU32(this.bytes, at);
        return null;
      case ItemId.expiration:
        if (length !== 4) return 'item-length';
        this.expiration = readU32(this.bytes, at);
        return null;
      default:
        if (length !== 1) return 'item-length';
        this.priority = this.bytes[at]!;
        return this.priority === 10 || this.priority === 5 ? null : 'unknown-priority';
    }
  }

  #fail(code: 'unknown-command' | 'frame-too-long', message: string): ApnsWireError {
    this.#error = new ApnsWireError(code, message);
    return this.#error;
  }
}

const emptyBytes = Buffer.alloc(0);

function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
