import { asBuffer } from '../copy-bytes.ts';
import { defaultMaxFrameSize, FrameFlag, FrameType, frameHeaderLength } from './frame.ts';
import { checkFrame } from './frame-rules.ts';
import { Http2WireError, type Http2WireErrorCode } from './http2-error.ts';

export interface FrameReaderOptions {
  /** Our SETTINGS_MAX_FRAME_SIZE: payload bytes of one frame. Default 16,384, as without the setting. */
  readonly maxFrameSize?: number;
  /** A header block in all its frames, bytes. Default 65,536. */
  readonly maxHeaderBlockBytes?: number;
  /** CONTINUATION frames of one header block. Default 16. */
  readonly maxContinuations?: number;
  /**
   * Frames that bring an exchange no further, one after another. Default 10,000. A long frame counts as one more for
   * every 64 bytes, which are what it costs to read.
   */
  readonly maxIdleFrames?: number;
}

/**
 * Reads the frames that a server sends, from a byte stream split anywhere (RFC 9113 sections 4 and 6).
 *
 * A cursor, so that nothing is allocated per frame: `push` a chunk, then call `next` until it gives false. While it
 * gives true, the fields describe the frame; they and the bytes behind them are valid until the next call of either
 * method. A header block comes as one HEADERS frame, whatever CONTINUATIONs it came in; padding and priority are
 * taken off. Frames of types that RFC 9113 does not know are skipped.
 *
 * Lengths are checked against the limits before anything is allocated. Throws `Http2WireError`, and then it is done:
 * it throws the same error again.
 */
export class Http2FrameReader {
  /** One of `FrameType`, never CONTINUATION. */
  type = 0;
  flags = 0;
  /** 0: the connection. */
  streamId = 0;
  /** Where the payload lies: the chunk itself, or a buffer of the reader's own. */
  bytes: Buffer = emptyBytes;
  /** The payload without padding and priority. */
  start = 0;
  end = 0;
  /** DATA: what it counts for in flow control, padding included. */
  flowLength = 0;

  readonly #maxFrameSize: number;
  readonly #maxHeaderBlockBytes: number;
  readonly #maxContinuations: number;
  readonly #maxIdleFrames: number;
  #chunk: Buffer = emptyBytes;
  #offset = 0;
  #carry: Buffer = emptyBytes;
  #carried = 0;
  #block: Buffer = emptyBytes;
  #blockLength = 0;
  #blockStreamId = 0;
  #blockFlags = 0;
  #continuations = 0;
  #idleFrames = 0;
  #error: Http2WireError | undefined;

  constructor(options: FrameReaderOptions = {}) {
    this.#maxFrameSize = options.maxFrameSize ?? defaultMaxFrameSize;
    this.#maxHeaderBlockBytes = options.maxHeaderBlockBytes ?? 65_536;
    this.#maxContinuations = options.maxContinuations ?? 16;
    this.#maxIdleFrames = options.maxIdleFrames ?? 10_000;
  }

  /** Bytes of a frame, or of a header block, that has not come in completely. */
  get pendingBytes(): number {
    return this.#carried + this.#chunk.length - this.#offset + this.#blockLength;
  }

  /**
   * A connection that lives long sees keepalive frames for hours: whoever has a clock calls this now and then, so that
   * `maxIdleFrames` bounds a rate.
   */
  forgiveIdleFrames(): void {
    this.#idleFrames = 0;
  }

  /** Gives the reader the next chunk, once `next` has given false for the one before. */
  push(chunk: Uint8Array): void {
    if (this.#offset < this.#chunk.length) throw new Error('push() before next() gave false loses frames');
    this.#chunk = asBuffer(chunk);
    this.#offset = 0;
  }

  /** Moves to the next frame; false when more bytes are needed. */
  next(): boolean {
    if (this.#error !== undefined) throw this.#error;
    try {
      while (this.#nextFrame()) {
        if (this.#complete()) return true;
      }
      return false;
    } catch (error) {
      if (error instanceof Http2WireError) this.#error = error;
      throw error;
    }
  }

  /** A number of the payload, `at` bytes after its start: RST_STREAM, WINDOW_UPDATE, GOAWAY, SETTINGS. */
  u32(at: number): number {
    return this.bytes.readUInt32BE(this.start + at);
  }

  /** The settings of a SETTINGS frame, in order; ids that nobody knows too (RFC 9113 section 6.5.2). */
  eachSetting(take: (id: number, value: number) => void): void {
    for (let at = this.start; at < this.end; at += 6) {
      take(this.bytes.readUInt16BE(at), this.bytes.readUInt32BE(at + 2));
    }
  }

  /** The next frame of the stream, of whatever type. */
  #nextFrame(): boolean {
    if (this.#carried > 0) return this.#nextCarried();
    const chunk = this.#chunk;
    const start = this.#offset;
    const available = chunk.length - start;
    if (available >= frameHeaderLength) {
      const length = this.#lengthAt(chunk, start);
      if (length <= available) {
        this.#offset = start + length;
        this.#describe(chunk, start, length);
        return true;
      }
    }
    if (available > 0) this.#carryOver(available, frameHeaderLength);
    return false;
  }

  #nextCarried(): boolean {
    for (;;) {
      const isHeaderKnown = this.#carried >= frameHeaderLength;
      const length = isHeaderKnown ? this.#lengthAt(this.#carry, 0) : frameHeaderLength;
      if (isHeaderKnown && this.#carried === length) {
        this.#carried = 0;
        this.#describe(this.#carry, 0, length);
        return true;
      }
      const available = this.#chunk.length - this.#offset;
      if (available === 0) return false;
      this.#carryOver(Math.min(available, length - this.#carried), length);
    }
  }

  /** Moves `count` bytes from the chunk to the buffer that gathers a frame of `length` bytes. */
  #carryOver(count: number, length: number): void {
    const needed = Math.max(length, this.#carried + count);
    if (this.#carry.length < needed) {
      const larger = Buffer.allocUnsafe(needed);
      larger.set(this.#carry.subarray(0, this.#carried));
      this.#carry = larger;
    }
    this.#chunk.copy(this.#carry, this.#carried, this.#offset, this.#offset + count);
    this.#carried += count;
    this.#offset += count;
  }

  /** Length of the frame with its header. */
  #lengthAt(bytes: Buffer, at: number): number {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    if (length > this.#maxFrameSize) {
      this.#refuse('http2-frame-size-error', `A frame of ${length} bytes, over ${this.#maxFrameSize}`);
    }
    return frameHeaderLength + length;
  }

  #describe(bytes: Buffer, at: number, length: number): void {
    this.type = bytes[at + 3]!;
    this.flags = bytes[at + 4]!;
    this.streamId = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
    this.bytes = bytes;
    this.start = at + frameHeaderLength;
    this.end = at + length;
    this.flowLength = length - frameHeaderLength;
  }

  /** Whether the frame is one to show: a header block may need more, and unknown types are skipped. */
  #complete(): boolean {
    const { type } = this;
    if (this.#blockStreamId !== 0) return this.#continueBlock();
    if (type > FrameType.continuation) {
      this.#countIdle();
      return false;
    }
    checkFrame(this);
    if (type === FrameType.data || type === FrameType.headers) {
      this.#takeOffPadding();
      const isProgress = type === FrameType.headers || this.end > this.start || this.hasEndStream;
      if (isProgress) this.#idleFrames = 0;
      else this.#countIdle();
    } else {
      this.#countIdle();
    }
    if (type === FrameType.headers && (this.flags & FrameFlag.endHeaders) === 0) {
      this.#beginBlock();
      return false;
    }
    return true;
  }

  /** Of DATA and HEADERS. */
  get hasEndStream(): boolean {
    return (this.flags & FrameFlag.endStream) !== 0;
  }

  #takeOffPadding(): void {
    let padding = 0;
    if ((this.flags & FrameFlag.padded) !== 0) {
      if (this.start === this.end) this.#refuse('http2-frame-size-error', 'A padded frame without a length');
      padding = this.bytes[this.start++]!;
    }
    if (this.type === FrameType.headers && (this.flags & FrameFlag.priority) !== 0) {
      if (this.end - this.start < 5)
        this.#refuse('http2-frame-size-error', 'HEADERS too short for a priority');
      this.start += 5;
    }
    if (padding > this.end - this.start) {
      this.#refuse('http2-protocol-error', 'Padding longer than its frame');
    }
    this.end -= padding;
    this.flags &= ~(FrameFlag.padded | FrameFlag.priority);
  }

  #beginBlock(): void {
    this.#blockStreamId = this.streamId;
    this.#blockFlags = this.flags;
    this.#blockLength = 0;
    this.#continuations = 0;
    this.#appendToBlock();
  }

  #continueBlock(): boolean {
    if (this.type !== FrameType.continuation || this.streamId !== this.#blockStreamId) {
      this.#refuse('http2-protocol-error', 'A header block interrupted by another frame');
    }
    if (++this.#continuations > this.#maxContinuations) {
      this.#refuse('http2-flood', `A header block in more than ${this.#maxContinuations} CONTINUATIONs`);
    }
    this.#appendToBlock();
    if ((this.flags & FrameFlag.endHeaders) === 0) return false;
    this.type = FrameType.headers;
    this.flags = this.#blockFlags | FrameFlag.endHeaders;
    this.bytes = this.#block;
    this.start = 0;
    this.end = this.#blockLength;
    this.#blockStreamId = 0;
    this.#blockLength = 0;
    return true;
  }

  #appendToBlock(): void {
    const added = this.end - this.start;
    const length = this.#blockLength + added;
    if (length > this.#maxHeaderBlockBytes) {
      this.#refuse('http2-flood', `A header block of more than ${this.#maxHeaderBlockBytes} bytes`);
    }
    if (this.#block.length < length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#maxHeaderBlockBytes, length * 2));
      this.#block.copy(larger, 0, 0, this.#blockLength);
      this.#block = larger;
    }
    this.bytes.copy(this.#block, this.#blockLength, this.start, this.end);
    this.#blockLength = length;
  }

  #countIdle(): void {
    this.#idleFrames += 1 + (this.flowLength >> 6);
    if (this.#idleFrames > this.#maxIdleFrames) {
      this.#refuse('http2-flood', `More than ${this.#maxIdleFrames} frames that bring nothing, in a row`);
    }
  }

  #refuse(code: Http2WireErrorCode, message: string): never {
    throw new Http2WireError(code, message);
  }
}

const emptyBytes = Buffer.alloc(0);
