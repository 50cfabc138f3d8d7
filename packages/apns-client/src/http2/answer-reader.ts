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
  /** The head of an answer says 200: the gateway has accepted the notification, whatever comes after. */
  accepted(stream: OpenStream): void;
  /** The answer is complete. */
  finished(stream: OpenStream): void;
  reset(stream: OpenStream, errorCode: number): void;
  /** The answer makes no sense: its stream is in error, and no other (RFC 9113 section 8.1.1). */
  malformed(stream: OpenStream, detail: string): void;
  setting(id: number, value: number): void;
  /** All settings of a frame have been passed on. */
  settingsEnd(): void;
  goAway(lastStreamId: number, errorCode: number, debug: string): void;
  windowUpdate(streamId: number, increment: number): void;
  /** The answer to a PING. */
  pong(): void;
  /** What the protocol asks us to say to it. */
  reply(frame: Buffer): void;
}

/** Bytes of all answers that may be under way. */
const receiveWindow = 8 * 1024 * 1024;
/** What frames that bring no answer may cost: at once, and in a second. A frame costs 1, and 1 more for every 64 bytes. */
const largestIdleCost = 10_000;
const idleCostPerSecond = 2_000;
/** What an answer makes good: windows have to be opened, and settings acknowledged. */
const answerCredit = 8;
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
  /** Cost of frames that brought no answer, less what time and answers have made good. */
  #idleCost = 0;
  #relaxedAtMs: number;

  constructor(streams: StreamTable, events: AnswerEvents, nowMs: number) {
    this.#streams = streams;
    this.#events = events;
    this.#relaxedAtMs = nowMs;
  }

  /** To be called now and then: what comes seldom is no flood. */
  relax(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#relaxedAtMs);
    this.#relaxedAtMs = nowMs;
    this.#idleCost = Math.max(0, this.#idleCost - (passedMs / 1_000) * idleCostPerSecond);
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
        if (stream === undefined) this.#spend(frame);
        else this.#events.reset(stream, frame.u32(0));
        return;
      }
      case FrameType.settings:
        this.#spend(frame);
        if ((frame.flags & FrameFlag.ack) !== 0) return;
        frame.eachSetting((id, value) => this.#events.setting(id, value));
        this.#events.reply(encodeSettingsAck());
        this.#events.settingsEnd();
        return;
      case FrameType.ping:
        this.#spend(frame);
        if ((frame.flags & FrameFlag.ack) !== 0) {
          this.#events.pong();
          return;
        }
        this.#events.reply(encodePing(frame.bytes.subarray(frame.start, frame.end), 'ack'));
        return;
      case FrameType.goAway: {
        this.#spend(frame);
        const debugEnd = Math.min(frame.end, frame.start + 8 + longestBody);
        const debug = frame.bytes.toString('utf8', frame.start + 8, debugEnd);
        this.#events.goAway(frame.u32(0) & maxWindow, frame.u32(4), debug);
        return;
      }
      case FrameType.windowUpdate:
        this.#spend(frame);
        this.#readWindow(frame, nextStreamId);
        return;
      default:
        // PRIORITY: nothing to a client.
        this.#spend(frame);
    }
  }

  #readWindow(frame: Http2FrameReader, nextStreamId: number): void {
    const increment = frame.u32(0) & maxWindow;
    if (frame.streamId === 0 || increment > 0) this.#events.windowUpdate(frame.streamId, increment);
    else this.#refuse(this.#streamOf(frame, nextStreamId), 'WINDOW_UPDATE by nothing');
  }

  #readHead(frame: Http2FrameReader, nextStreamId: number): void {
    const head = this.#head.reset();
    let problem: string | undefined;
    try {
      // Every block, also of streams that are over: it may change the table.
      this.#hpack.decode(frame.bytes, frame.start, frame.end, head.field);
    } catch (error) {
      if (!(error instanceof Http2WireError) || error.scope === 'connection') throw error;
      problem = error.message;
    }
    const stream = this.#streamOf(frame, nextStreamId);
    if (stream === undefined) {
      this.#spend(frame);
      return;
    }
    const { status } = head;
    const isLast = frame.hasEndStream;
    if (problem === undefined && status >= 100 && status < 200 && !isLast && stream.status === 0) {
      this.#spend(frame);
      return;
    }
    const isTrailer = status === 0;
    if (isTrailer ? stream.status === 0 || !isLast : status < 200 || stream.status !== 0) {
      problem ??= 'An answer whose heads make no sense';
    }
    if (problem !== undefined) {
      this.#spend(frame);
      this.#refuse(stream, problem);
      return;
    }
    if (!isTrailer) {
      stream.status = status;
      stream.retryAfter = head.retryAfter;
      if (status === 200) this.#events.accepted(stream);
    }
    this.#idleCost = Math.max(0, this.#idleCost - answerCredit);
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
    if (stream === undefined || !frame.hasEndStream) this.#spend(frame);
    if (stream === undefined) return;
    if (stream.status === 0) {
      this.#refuse(stream, 'DATA before the head of an answer');
      return;
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

  /** The answer of a stream makes no sense; undefined: it is over for us anyway. */
  #refuse(stream: OpenStream | undefined, detail: string): void {
    if (stream !== undefined) this.#events.malformed(stream, detail);
  }

  /** Counts a frame that brings no answer. Throws `http2-flood` when there are too many of them. */
  #spend({ start, end, flowLength }: Http2FrameReader): void {
    this.#idleCost += 1 + (Math.max(end - start, flowLength) >> 6);
    if (this.#idleCost > largestIdleCost) {
      throw new Http2WireError('http2-flood', 'Too many frames that bring no answer');
    }
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
