import { ApnsWireError, type ApnsWireErrorCode } from '../errors.ts';
import { Http2ErrorCode } from './frame.ts';

export type Http2WireErrorCode = Extract<ApnsWireErrorCode, `http2-${string}`>;

const goAwayCodes: Readonly<Record<Http2WireErrorCode, number>> = {
  'http2-protocol-error': Http2ErrorCode.protocolError,
  'http2-frame-size-error': Http2ErrorCode.frameSizeError,
  'http2-flow-control-error': Http2ErrorCode.flowControlError,
  'http2-compression-error': Http2ErrorCode.compressionError,
  'http2-flood': Http2ErrorCode.enhanceYourCalm,
};

/** What an error ends (RFC 9113 section 5.4): the stream of a message that makes no sense, or everything. */
export type Http2ErrorScope = 'stream' | 'connection';

/**
 * The peer broke the protocol. A message that is framed rightly and makes no sense is an error of its stream (section
 * 8.1.1); any other error is fatal for the connection.
 */
export class Http2WireError extends ApnsWireError {
  override readonly name = 'Http2WireError';
  declare readonly code: Http2WireErrorCode;
  readonly scope: Http2ErrorScope;

  constructor(code: Http2WireErrorCode, message: string, scope: Http2ErrorScope = 'connection') {
    super(code, message);
    this.scope = scope;
  }

  /** What the GOAWAY that answers it says (RFC 9113 section 7). */
  get goAwayCode(): number {
    return goAwayCodes[this.code];
  }
}
