import { ErrorStatus, errorStatusName } from '@pushfleet/apns-wire';
import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';

/** What an error response says of the frame that it names; the table of `docs/protocol/binary.md#error-response`. */
export type StatusMeaning =
  /** The named frame was taken; what came after it was not. */
  | 'accepted'
  /** Will never be taken. */
  | 'rejected'
  /** May be tried again, bounded. */
  | 'retryable'
  /** Nothing is wrong with the frame: the credential or its topic is refused. */
  | 'credential'
  /** The named frame was not taken, and nothing is wrong with it. */
  | 'unprocessed';

/** Which frame a shutdown (status 10) names. Apple says the last one sent; one source in the field the opposite. */
export type ShutdownIdentifier = 'last-sent' | 'first-unsent';

export function statusMeaning(status: number, shutdownIdentifier: ShutdownIdentifier): StatusMeaning {
  switch (status) {
    case ErrorStatus.noErrors:
      return 'accepted';
    case ErrorStatus.shutdown:
      return shutdownIdentifier === 'last-sent' ? 'accepted' : 'unprocessed';
    case ErrorStatus.missingDeviceToken:
    case ErrorStatus.missingPayload:
    case ErrorStatus.invalidTokenSize:
    case ErrorStatus.invalidPayloadSize:
    case ErrorStatus.invalidToken:
      return 'rejected';
    case ErrorStatus.missingTopic:
    case ErrorStatus.invalidTopicSize:
      return 'credential';
    default:
      // Processing error, protocol error, none, and every status that no source names.
      return 'retryable';
  }
}

/** The answer as the sink sees it. */
export function gatewayAnswer(status: number): GatewayAnswer {
  return {
    reason: errorStatusName(status),
    status,
    // Processing error, protocol error, none and unknown ones may be the frame's own.
    fault: 'notification',
    tokenInvalid: status === ErrorStatus.invalidToken,
  };
}
