export {
  type BinaryNotification,
  encodeKnownBadFrame,
  encodeNotification,
} from './binary/binary-notification.ts';
export {
  Command,
  frameLength,
  frameOverhead,
  ItemId,
  maxDeviceTokenBytes,
  maxPayloadBytes,
  type NotificationCommand,
} from './binary/command.ts';
export {
  type ErrorResponse,
  ErrorResponseDecoder,
  encodeErrorResponse,
  errorResponseLength,
} from './binary/error-response.ts';
export { ErrorStatus, errorStatusName } from './binary/error-status.ts';
export {
  encodeFeedbackTuple,
  FeedbackDecoder,
  type FeedbackTuple,
} from './binary/feedback.ts';
export { encodedLength, FrameEncoder } from './binary/frame-encoder.ts';
export {
  advanceIdentifier,
  firstIdentifier,
  identifierDistance,
  nextIdentifier,
  unknownIdentifier,
} from './binary/identifier.ts';
export { NotificationDecoder, type NotificationDecoderOptions } from './binary/notification-decoder.ts';
export { defectStatus, type NotificationDefect } from './binary/notification-defect.ts';
export { ApnsWireError, type ApnsWireErrorCode } from './errors.ts';
export type { NotificationColumns } from './notification-columns.ts';
export {
  http2PayloadLimit,
  type PayloadCarrier,
  payloadLimits,
} from './payload-limits.ts';
