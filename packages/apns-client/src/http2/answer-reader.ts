import {
  defaultWindow,
  encodePing,
  encodePreface,
  encodeSettingsAck,
  encodeWindowUpdate,
  FrameFlag,
  FrameType,
  HpackDecoder,
  Http2FrameReader,
  Http2WireError,
  maxWindow,
  ResponseHead,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import type { OpenStream, StreamTable } from './stream-table.ts';

/** What a gateway's frames mean. Streams are still in the table. */
export interface AnswerEvents {
  /** The head of an answer says 200: taken, whatever comes after. */
  taken(stream: OpenStream): void;
  /** The answer is complete. */
  finished(stream: OpenStream): void;
  reset(stream: OpenStream, errorCode: number): void;
  setting(id: number, value: number): void;
  /** All settings of a frame have been told. */
  settingsEnd(): void;
  goAway(lastStreamId: number, errorCode: number, debug: string): void;
  windowUpdate(streamId: number, increment: number): void;
  /** What the protocol asks us to say to it. */
  reply(frame: Buffer): void;
}

/** Bytes of all answers that may be under way. */
const receiveWindow = 8 * 1024 * 1024;
/** As much of an answer's body as can mean something, characters. */
const longestBody = 4_096;

/** The first that we say: what may be sent to us. */
export function encodeGreeting(): Buffer {
  const settings = encodePreface([
    [SettingId.enablePush, 0],
    [SettingId.maxConcurrentStreams, 0],
    [SettingId.maxHeaderListSize, 65_536],
  ]);
  return Buffer.concat([settings, encodeWindowUpdate(0, receiveWindow - defaultWindow)]);
}

/** The receiving side of a connection: makes answers of frames. Knows no socket. */
export class AnswerReader {
  readonly #streams: StreamTable;
  readonly #events: AnswerEvents;
  readonly #frames = new Http2FrameReader();
  readonly #hpack = new HpackDecoder();
  readonly #head = new ResponseHead();
  /** Flow control, the gateway's to spend. */
  #window = receiveWindow;

  constructor(streams: StreamTable, events: AnswerEvents) {
    this.#streams = streams;
    this.#events = events;
  }

  /** To be called now and then: what comes seldom is no flood. */
  relax(): void {
    this.#frames.forgiveIdleFrames();
  }

  /**
   * Reads a chunk, as long as `goesOn` says so. Streams from `nextStreamId` on have not been opened. Throws
   * `Http2WireError`.
   */
  read(chunk: Buffer, nextStreamId: number, goesOn: () => boolean): void {
    const frames = this.#frames;
    frames.push(chunk);
    while (goesOn() && frames.next()) this.#handle(frames, nextStreamId);
  }

  #handle(frame: Http2FrameReader, nextStreamId: number): void {
    switch (frame.type) {
      case FrameType.headers:
        this.#readHead(frame, nextStreamId);
        return;
      case FrameType.data:
        this.#readBody(frame, nextStreamId);
        return;
      case FrameType.rstStream: {
        const stream = this.#streamOf(frame, nextStreamId);
        if (stream !== undefined) this.#events.reset(stream, frame.u32(0));
        return;
      }
      case FrameType.settings:
        if ((frame.flags & FrameFlag.ack) !== 0) return;
        frame.eachSetting((id, value) => this.#events.setting(id, value));
        this.#events.reply(encodeSettingsAck());
        this.#events.settingsEnd();
        return;
      case FrameType.ping:
        if ((frame.flags & FrameFlag.ack) !== 0) return;
        this.#events.reply(encodePing(frame.bytes.subarray(frame.start, frame.end), 'ack'));
        return;
      case FrameType.goAway: {
        const debugEnd = Math.min(frame.end, frame.start + 8 + longestBody);
        const debug = frame.bytes.toString('utf8', frame.start + 8, debugEnd);
        this.#events.goAway(frame.u32(0) & maxWindow, frame.u32(4), debug);
        return;
      }
      case FrameType.windowUpdate:
        this.#events.windowUpdate(frame.streamId, frame.u32(0) & maxWindow);
        return;
      default:
      // PRIORITY: nothing to a client.
    }
  }

  #readHead(frame: Http2FrameReader, nextStreamId: number): void {
    const head = this.#head.reset();
    // Every block, also of streams that are over: it may change the table.
    this.#hpack.decode(frame.bytes, frame.start, frame.end, head.field);
    const stream = this.#streamOf(frame, nextStreamId);
    if (stream === undefined) return;
    const { status } = head;
    const isLast = frame.hasEndStream;
    if (status >= 100 && status < 200 && !isLast && stream.status === 0) return;
    const isTrailer = status === 0;
    if (isTrailer ? stream.status === 0 || !isLast : status < 200 || stream.status !== 0) {
      throw new Http2WireError('http2-protocol-error', 'An answer whose heads make no sense');
    }
    if (!isTrailer) {
      stream.status = status;
      stream.retryAfter = head.retryAfter;
      if (status === 200) this.#events.taken(stream);
    }
    if (isLast) this.#events.finished(stream);
  }

  #readBody(frame: Http2FrameReader, nextStreamId: number): void {
    const { flowLength } = frame;
    this.#window -= flowLength;
    if (this.#window < 0) {
      throw new Http2WireError('http2-flow-control-error', 'More DATA than the window of the connection');
    }
    if (this.#window < receiveWindow / 2) {
      this.#events.reply(encodeWindowUpdate(0, receiveWindow - this.#window));
      this.#window = receiveWindow;
    }
    const stream = this.#streamOf(frame, nextStreamId);
    if (stream === undefined) return;
    if (stream.status === 0) {
      throw new Http2WireError('http2-protocol-error', 'DATA before the head of an answer');
    }
    stream.bodyBytes += flowLength;
    if (stream.bodyBytes > defaultWindow) {
      throw new Http2WireError('http2-flow-control-error', 'More DATA than the window of its stream');
    }
    if (stream.status !== 200 && stream.body.length < longestBody) {
      stream.body += frame.bytes.toString('utf8', frame.start, frame.end);
    }
    if (frame.hasEndStream) this.#events.finished(stream);
  }

  /** The stream of a frame; undefined: it is over for us. A stream that we never opened breaks the protocol. */
  #streamOf({ streamId }: Http2FrameReader, nextStreamId: number): OpenStream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined && (streamId >= nextStreamId || streamId % 2 === 0)) {
      throw new Http2WireError('http2-protocol-error', 'A frame on a stream that is not open');
    }
    return stream;
  }
}
