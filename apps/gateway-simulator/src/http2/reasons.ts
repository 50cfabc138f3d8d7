import { channelReasonStatus } from './channels/channel-reasons.ts';

/**
 * Every reason that the HTTP/2 gateway may give, with its status (`docs/protocol/http2.md#answers`); last those about
 * broadcast channels.
 */
export const reasonStatus = {
  BadCollapseId: 400,
  BadDeviceToken: 400,
  BadExpirationDate: 400,
  BadMessageId: 400,
  BadPriority: 400,
  BadTopic: 400,
  DeviceTokenNotForTopic: 400,
  DuplicateHeaders: 400,
  IdleTimeout: 400,
  InvalidPushType: 400,
  MissingDeviceToken: 400,
  MissingTopic: 400,
  PayloadEmpty: 400,
  TopicDisallowed: 400,
  BadCertificate: 403,
  BadCertificateEnvironment: 403,
  BadEnvironmentKeyIdInToken: 403,
  ExpiredProviderToken: 403,
  Forbidden: 403,
  InvalidProviderToken: 403,
  MissingProviderToken: 403,
  UnrelatedKeyIdInToken: 403,
  BadPath: 404,
  MethodNotAllowed: 405,
  ExpiredToken: 410,
  Unregistered: 410,
  PayloadTooLarge: 413,
  TooManyProviderTokenUpdates: 429,
  TooManyRequests: 429,
  InternalServerError: 500,
  ServiceUnavailable: 503,
  Shutdown: 503,
  ...channelReasonStatus,
} as const;

export type Reason = keyof typeof reasonStatus;

/** Undefined for a reason that Apple does not document. */
export function statusOf(reason: string): number | undefined {
  return Object.hasOwn(reasonStatus, reason) ? reasonStatus[reason as Reason] : undefined;
}
