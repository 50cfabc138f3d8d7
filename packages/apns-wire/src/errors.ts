/** Everything that can be wrong with bytes or values at this package's edge; stable, usable as a metric label. */
export type ApnsWireErrorCode =
  // Framing of the binary protocol: the stream cannot be read any further.
  | 'unknown-command'
  | 'frame-too-long'
  | 'token-too-long'
  // Values that the format has no room for.
  | 'field-out-of-range'
  | 'device-token-malformed'
  | 'device-token-too-short'
  | 'device-token-too-long'
  | 'payload-invalid'
  | 'payload-too-large'
  // HTTP/2 (RFC 9113 section 7): the connection cannot go on.
  | 'http2-protocol-error'
  | 'http2-frame-size-error'
  | 'http2-flow-control-error'
  | 'http2-compression-error'
  /** More than a peer in good faith sends: endless header blocks, frames that mean nothing. */
  | 'http2-flood';

/** Base of every error this package throws. The message names the field and the reason, never a whole token. */
export class ApnsWireError extends Error {
  override readonly name: string = 'ApnsWireError';
  readonly code: ApnsWireErrorCode;

  constructor(code: ApnsWireErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
