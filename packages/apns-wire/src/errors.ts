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
  | 'payload-too-large';

/** Base of every error this package throws. The message names the field and the reason, never a whole token. */
export class ApnsWireError extends Error {
  override readonly name: string = 'ApnsWireError';
  readonly code: ApnsWireErrorCode;

  constructor(code: ApnsWireErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
