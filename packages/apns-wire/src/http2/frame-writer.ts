import { connectionPreface, FrameFlag, FrameType, frameHeaderLength } from './frame.ts';

// Frames that a client sends now and then. Requests, which it sends all the time, go through RequestEncoder.

/** Writes the header of a frame. Returns the offset after it. */
export function writeFrameHeader(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  target[at + 5] = streamId >>> 24;
  target[at + 6] = streamId >>> 16;
  target[at + 7] = streamId >>> 8;
  target[at + 8] = streamId;
  return at + frameHeaderLength;
}

/** A frame with this payload. */
export function encodeFrame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderLength + payload.length);
  frame.set(payload, writeFrameHeader(frame, 0, payload.length, type, flags, streamId));
  return frame;
}

export function encodePreface(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  return Buffer.concat([Buffer.from(connectionPreface, 'latin1'), encodeSettings(settings)]);
}

export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  settings.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return encodeFrame(FrameType.settings, 0, 0, payload);
}

export function encodeSettingsAck(): Buffer {
  return encodeFrame(FrameType.settings, FrameFlag.ack, 0, new Uint8Array(0));
}

/** @param opaque 8 bytes, which come back in the answer */
export function encodePing(opaque: Uint8Array, kind: 'ping' | 'ack' = 'ping'): Buffer {
  return encodeFrame(FrameType.ping, kind === 'ack' ? FrameFlag.ack : 0, 0, opaque);
}

/** @param streamId 0: of the connection */
export function encodeWindowUpdate(streamId: number, increment: number): Buffer {
  return encodeFrame(FrameType.windowUpdate, 0, streamId, u32(increment));
}

export function encodeRstStream(streamId: number, errorCode: number): Buffer {
  return encodeFrame(FrameType.rstStream, 0, streamId, u32(errorCode));
}

export function encodeGoAway(lastStreamId: number, errorCode: number, debug = ''): Buffer {
  const payload = Buffer.concat([u32(lastStreamId), u32(errorCode), Buffer.from(debug)]);
  return encodeFrame(FrameType.goAway, 0, 0, payload);
}

/** Writes a DATA frame over part of `bytes`. Returns the offset after it. */
export function writeData(
  target: Buffer,
  at: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
  isLast: boolean,
): number {
  at = writeFrameHeader(target, at, end - start, FrameType.data, isLast ? FrameFlag.endStream : 0, streamId);
  return at + bytes.copy(target, at, start, end);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
