import { ErrorStatus } from './error-status.ts';

/**
 * What is wrong with the content of a frame whose end is known. A gateway answers it, so it is a value; a stream
 * whose frames cannot be told apart any more is an `ApnsWireError`.
 */
export type NotificationDefect =
  | 'missing-token'
  | 'token-too-long'
  | 'missing-payload'
  | 'payload-too-long'
  /** Items overrun the frame, or bytes are left that make no item. */
  | 'malformed-items'
  | 'repeated-item'
  /** Identifier or expiration not of 4 bytes, priority not of 1. */
  | 'item-length'
  /** Priority other than 10 or 5. */
  | 'unknown-priority';

/** The status of the error-response packet that answers a defect (`docs/protocol/binary.md#error-response`). */
export const defectStatus = {
  'missing-token': ErrorStatus.missingDeviceToken,
  'token-too-long': ErrorStatus.invalidTokenSize,
  'missing-payload': ErrorStatus.missingPayload,
  'payload-too-long': ErrorStatus.invalidPayloadSize,
  'malformed-items': ErrorStatus.protocolError,
  'repeated-item': ErrorStatus.protocolError,
  'item-length': ErrorStatus.protocolError,
  'unknown-priority': ErrorStatus.protocolError,
} as const satisfies Record<NotificationDefect, number>;
