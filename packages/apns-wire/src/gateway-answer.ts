/**
 * Whose trouble an answer may be. `notification`: the gateway answered about this one, and the trouble may be its own, so
 * a try counts. `gateway`: nothing is held against the notification; it is tried again by time.
 */
export type Fault = 'notification' | 'gateway';

/** What the gateway said of a notification that it did not take. */
export interface GatewayAnswer {
  /** Stable kebab-case name on binary (`invalid-token`), Apple's own reason on HTTP/2 (`BadDeviceToken`). */
  readonly reason: string;
  /** Binary status byte (`docs/protocol/binary.md#error-response`) or HTTP status. */
  readonly status: number;
  readonly fault: Fault;
  /** The token itself is bad for this app and environment: evidence against the device. */
  readonly tokenInvalid: boolean;
  /** When APNs found the token gone, epoch milliseconds (410 only). */
  readonly unregisteredAtMs?: number;
  /** How long the gateway asks to wait before the next try, milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * What an answer says against its device token. `unregistered`: a 410, which says when the app was removed and stands on
 * its own. `invalid-token`: the token was bad when it was sent, as every token is in the wrong environment. Undefined:
 * nothing.
 */
export function tokenEvidence({
  tokenInvalid,
  unregisteredAtMs,
}: {
  readonly tokenInvalid?: boolean | undefined;
  readonly unregisteredAtMs?: number | undefined;
}): 'unregistered' | 'invalid-token' | undefined {
  if (tokenInvalid !== true) return undefined;
  return unregisteredAtMs === undefined ? 'invalid-token' : 'unregistered';
}
