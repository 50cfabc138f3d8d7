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

/**
 * The peer broke the protocol. Always fatal for the connection: where RFC 9113 allows a stream error, section 5.4.1
 * lets an endpoint treat it as an error of the connection, and a gateway that writes bad frames is not worth more.
 */
export class Http2WireError extends ApnsWireError {
  override readonly name = 'Http2WireError';
  declare readonly code: Http2WireErrorCode;

  constructor(code: Http2WireErrorCode, message: string) {
    super(code, message);
  }

  /** What the GOAWAY that answers it says (RFC 9113 section 7). */
  get goAwayCode(): number {
    return goAwayCodes[this.code];
  }
}
