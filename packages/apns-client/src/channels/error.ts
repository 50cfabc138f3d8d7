import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';

export type ChannelErrorCode =
  /** APNs said no; `reason` and `status` say why. */
  | 'refused'
  /** A field of the call can not be sent. */
  | 'request-invalid'
  /** The answer is not what Apple describes. */
  | 'answer-unreadable'
  /** No connection, or it ended: whether the call was carried out is not known. */
  | 'unreachable'
  /** As `unreachable`. */
  | 'timeout'
  | 'no-provider-token'
  | 'closed';

/** A call about a broadcast channel failed. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
  readonly code: ChannelErrorCode;
  /** Apple's own, such as `ChannelNotRegistered`. */
  readonly reason: string | undefined;
  /** HTTP status. */
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ChannelErrorCode, message: string, answer?: GatewayAnswer, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = answer?.reason;
    this.status = answer?.status;
    this.retryAfterMs = answer?.retryAfterMs;
  }
}
