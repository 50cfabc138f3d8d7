import { defaultMaxFrameSize, frameHeaderLength, writeData } from '@pushfleet/apns-wire/http2';

/** The payload of a request that flow control lets out only piece by piece. */
export class PartialRequest {
  readonly streamId: number;
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;
  #window: number;

  constructor(streamId: number, bytes: Uint8Array, start: number, end: number, window: number) {
    this.streamId = streamId;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
    this.#window = window;
  }

  get isDone(): boolean {
    return this.#at === this.#end;
  }

  /** The window of the stream grows, or shrinks with a change of SETTINGS, below 0 even (RFC 9113 section 6.9.2). */
  widen(by: number): void {
    this.#window += by;
  }

  /** Takes the next DATA frame that the windows allow, and what it costs them; undefined: none. */
  take(connectionWindow: number): { frame: Buffer; spent: number } | undefined {
    const spent = Math.min(this.#end - this.#at, this.#window, connectionWindow, defaultMaxFrameSize);
    if (spent <= 0) return undefined;
    const frame = Buffer.allocUnsafe(frameHeaderLength + spent);
    const end = this.#at + spent;
    writeData(frame, 0, this.streamId, this.#bytes, this.#at, end, end === this.#end);
    this.#at = end;
    this.#window -= spent;
    return { frame, spent };
  }
}
