import { FrameFlag, FrameType, maxWindow, SettingId } from './frame.ts';
import { Http2WireError, type Http2WireErrorCode } from './http2-error.ts';

/** A frame as the reader sees it, before padding is taken off. */
interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * What RFC 9113 section 6 says of each type by itself, for a client without push (section 8.4). Throws
 * `Http2WireError`.
 */
export function checkFrame(frame: RawFrame): void {
  const length = frame.end - frame.start;
  switch (frame.type) {
    case FrameType.data:
      needStream(frame, 'DATA');
      return;
    case FrameType.headers:
      needStream(frame, 'HEADERS');
      return;
    case FrameType.priority:
      needStream(frame, 'PRIORITY');
      needLength(length, 5, 'PRIORITY');
      return;
    case FrameType.rstStream:
      needStream(frame, 'RST_STREAM');
      needLength(length, 4, 'RST_STREAM');
      return;
    case FrameType.settings:
      needConnection(frame, 'SETTINGS');
      checkSettings(frame, length);
      return;
    case FrameType.pushPromise:
      refuse('http2-protocol-error', 'PUSH_PROMISE, though push is switched off');
      return;
    case FrameType.ping:
      needConnection(frame, 'PING');
      needLength(length, 8, 'PING');
      return;
    case FrameType.goAway:
      needConnection(frame, 'GOAWAY');
      if (length < 8) refuse('http2-frame-size-error', `GOAWAY of ${length} bytes`);
      return;
    case FrameType.windowUpdate:
      needLength(length, 4, 'WINDOW_UPDATE');
      // On a stream it is an error of that stream (section 6.9): left to who knows the streams.
      if (frame.streamId === 0 && (frame.bytes.readUInt32BE(frame.start) & 0x7fff_ffff) === 0) {
        refuse('http2-protocol-error', 'WINDOW_UPDATE by nothing');
      }
      return;
    default:
      refuse('http2-protocol-error', 'CONTINUATION without a header block');
  }
}

function checkSettings(frame: RawFrame, length: number): void {
  if ((frame.flags & FrameFlag.ack) !== 0) {
    if (length !== 0) refuse('http2-frame-size-error', 'An acknowledgement of SETTINGS that has settings');
    return;
  }
  if (length % 6 !== 0) refuse('http2-frame-size-error', `SETTINGS of ${length} bytes`);
  for (let at = frame.start; at < frame.end; at += 6) {
    const id = frame.bytes.readUInt16BE(at);
    const value = frame.bytes.readUInt32BE(at + 2);
    if (id === SettingId.enablePush && value !== 0) {
      refuse('http2-protocol-error', `A server's ENABLE_PUSH is ${value}`);
    }
    if (id === SettingId.initialWindowSize && value > maxWindow) {
      refuse('http2-flow-control-error', `INITIAL_WINDOW_SIZE of ${value}`);
    }
    if (id === SettingId.maxFrameSize && (value < 16_384 || value > 0xff_ffff)) {
      refuse('http2-protocol-error', `MAX_FRAME_SIZE of ${value}`);
    }
  }
}

function needStream({ streamId }: RawFrame, type: string): void {
  if (streamId === 0) refuse('http2-protocol-error', `${type} on the connection instead of a stream`);
}

function needConnection({ streamId }: RawFrame, type: string): void {
  if (streamId !== 0) refuse('http2-protocol-error', `${type} on a stream instead of the connection`);
}

function needLength(length: number, needed: number, type: string): void {
  if (length !== needed) refuse('http2-frame-size-error', `${type} of ${length} bytes`);
}

function refuse(code: Http2WireErrorCode, message: string): never {
  throw new Http2WireError(code, message);
}
