// What exists in HTTP/2 (RFC 9113 sections 4, 6 and 7). Integers are big-endian.
//
//   length u24 · type u8 · flags u8 · reserved bit, stream identifier u31 · payload

export const frameHeaderLength = 3 + 1 + 1 + 4;

export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

/** The meaning of a bit depends on the type. */
export const FrameFlag = {
  endStream: 0x1,
  /** Of SETTINGS and PING. */
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const SettingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

/** Error codes of RST_STREAM and GOAWAY (RFC 9113 section 7). */
export const Http2ErrorCode = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

const names = Object.entries(Http2ErrorCode).map(([name, code]) => [code, kebab(name)] as const);
const nameByCode = new Map<number, string>(names);

/** Stable, for logs: `refused-stream`; a code that nobody names is `unknown-77`. */
export function http2ErrorName(code: number): string {
  return nameByCode.get(code) ?? `unknown-${code}`;
}

/** What a client sends first of all (RFC 9113 section 3.4), before its SETTINGS. */
export const connectionPreface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Before any SETTINGS: window of a stream and of the connection, largest payload of a frame (section 6.5.2). */
export const defaultWindow = 65_535;
export const defaultMaxFrameSize = 16_384;
/** Largest of any window (section 6.9.1), and of stream identifiers. */
export const maxWindow = 0x7fff_ffff;
export const maxStreamId = 0x7fff_ffff;

function kebab(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase();
}
