import type { Fault, GatewayAnswer } from '@pushfleet/apns-wire/answer';

// What an answer other than 200 means: the table of `docs/protocol/http2.md#answers`.

/** What is done about an answer. */
type AnswerAction =
  /** The gateway will never take the notification. */
  | 'reject'
  /** It had trouble with the notification, or with itself: the caller tries again later. */
  | 'retry'
  /** As `retry`, and this connection takes no more: the gateway wants to be rid of it. */
  | 'retry-elsewhere'
  /**
   * The answer does not carry Apple's body, so something on the way gave it, such as a proxy. It says nothing about the
   * notification, the credential or the topic: tried again on another connection.
   */
  | 'foreign'
  /** The topic is refused, and would be for every other notification of it. */
  | 'topic-refused'
  | CredentialAction;

/** Nothing is wrong with the notification. */
export type CredentialAction =
  /** The credential is refused, and would be for every other. */
  | 'pause'
  /** The provider token is refused: replace it once, where another worker signed it. */
  | 'replace-token'
  /** The provider token is too old for the gateway: sign anew, once. */
  | 'sign-anew'
  /** The provider token's key is not related to this connection's first: use a new connection. */
  | 'reconnect'
  /** The fleet changes its provider token too often: go back to the old one. */
  | 'keep-token';

const credentialActions: Readonly<Record<CredentialAction, true>> = {
  pause: true,
  'replace-token': true,
  'sign-anew': true,
  reconnect: true,
  'keep-token': true,
};

export function isAboutCredential(action: AnswerAction): action is CredentialAction {
  return Object.hasOwn(credentialActions, action);
}

interface Policy {
  readonly action: AnswerAction;
  /** Evidence against the device token. */
  readonly tokenInvalid?: true;
  /** Whose trouble it may be, where the status does not say. */
  readonly fault?: Fault;
}

const policies: Readonly<Record<string, Policy>> = {
  // Wrong with the request, and would be again.
  BadCollapseId: { action: 'reject' },
  BadExpirationDate: { action: 'reject' },
  BadMessageId: { action: 'reject' },
  BadPriority: { action: 'reject' },
  DuplicateHeaders: { action: 'reject' },
  InvalidPushType: { action: 'reject' },
  MissingDeviceToken: { action: 'reject' },
  PayloadEmpty: { action: 'reject' },
  BadPath: { action: 'reject' },
  MethodNotAllowed: { action: 'reject' },
  PayloadTooLarge: { action: 'reject' },
  // Wrong with the device token. Whether to believe it is for the one who knows the rate (and the environment).
  BadDeviceToken: { action: 'reject', tokenInvalid: true },
  DeviceTokenNotForTopic: { action: 'reject', tokenInvalid: true },
  Unregistered: { action: 'reject', tokenInvalid: true },
  ExpiredToken: { action: 'reject', tokenInvalid: true },
  // Wrong with the topic, or with the credential that does not cover it.
  BadTopic: { action: 'topic-refused' },
  MissingTopic: { action: 'topic-refused' },
  TopicDisallowed: { action: 'topic-refused' },
  // Wrong with the credential.
  BadCertificate: { action: 'pause' },
  BadCertificateEnvironment: { action: 'pause' },
  BadEnvironmentKeyIdInToken: { action: 'pause' },
  Forbidden: { action: 'pause' },
  InvalidProviderToken: { action: 'replace-token' },
  MissingProviderToken: { action: 'pause' },
  ExpiredProviderToken: { action: 'sign-anew' },
  UnrelatedKeyIdInToken: { action: 'reconnect' },
  TooManyProviderTokenUpdates: { action: 'keep-token' },
  // Wrong with the moment.
  IdleTimeout: { action: 'retry-elsewhere', fault: 'gateway' },
  Shutdown: { action: 'retry-elsewhere' },
  TooManyRequests: { action: 'retry' },
  InternalServerError: { action: 'retry' },
  ServiceUnavailable: { action: 'retry' },
};

/** What the gateway said, read and judged. */
export interface AnswerMeaning {
  readonly action: AnswerAction;
  readonly answer: GatewayAnswer;
}

/** An answer as it came. */
export interface RawAnswer {
  readonly status: number;
  /** JSON with `reason`, and with 410 a `timestamp` in MILLISECONDS; or what a proxy has to say. */
  readonly body: string;
  /** The header: seconds, or a date. */
  readonly retryAfter: string | undefined;
}

/** Judges any answer but 200. A notification whose reason is unknown is tried again, bounded by the caller. */
export function judgeAnswer(raw: RawAnswer, nowMs: number): AnswerMeaning {
  const { reason, timestamp } = readBody(raw.body);
  const isServerError = raw.status >= 500;
  const policy = policyOf(reason, raw.status);
  const retryAfterMs = parseRetryAfter(raw.retryAfter, nowMs);
  return {
    action: policy.action,
    answer: {
      reason: reason ?? `Status${raw.status}`,
      status: raw.status,
      fault: policy.fault ?? (isServerError || raw.status === 429 ? 'gateway' : 'notification'),
      tokenInvalid: policy.tokenInvalid === true,
      ...(raw.status === 410 && timestamp !== undefined ? { unregisteredAtMs: timestamp } : {}),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

/** Why the gateway ends a connection, where its GOAWAY says so: `{"reason": …}`. */
export function goAwayReason(
  debug: string,
): { readonly reason: string; readonly isCredential: boolean } | undefined {
  const { reason } = readBody(debug);
  if (reason === undefined) return undefined;
  const action = knownPolicy(reason)?.action;
  return { reason, isCredential: action === 'pause' || action === 'replace-token' };
}

function policyOf(reason: string | undefined, status: number): Policy {
  if (reason === undefined) {
    // Whether Apple's servers or a balancer say 5xx makes no difference: the gateway is in trouble.
    return status >= 500 ? { action: 'retry' } : { action: 'foreign', fault: 'gateway' };
  }
  return knownPolicy(reason) ?? policyByStatus(status);
}

function knownPolicy(reason: string): Policy | undefined {
  return Object.hasOwn(policies, reason) ? policies[reason] : undefined;
}

/** With a reason that we do not know, only the statuses that can have but one meaning are final. */
function policyByStatus(status: number): Policy {
  switch (status) {
    case 410:
      return { action: 'reject', tokenInvalid: true };
    case 413:
      return { action: 'reject' };
    default:
      return { action: 'retry' };
  }
}

function readBody(body: string): { reason?: string; timestamp?: number } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return {};
  }
  if (typeof value !== 'object' || value === null) return {};
  const { reason, timestamp } = value as { reason?: unknown; timestamp?: unknown };
  return {
    // It goes into reports and logs: a name that is shorter than a device token, or nothing.
    ...(typeof reason === 'string' && /^[A-Za-z][A-Za-z0-9]{0,39}$/.test(reason) ? { reason } : {}),
    ...(typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && timestamp >= 0
      ? { timestamp }
      : {}),
  };
}

/** A day: a gateway that wants a longer wait is asked again after one. */
const longestRetryAfterMs = 86_400_000;

/** Seconds, or a date in one of the three forms of RFC 9110 sections 5.6.7 and 10.2.3. */
function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  let ms = Number.NaN;
  if (/^\d+$/.test(text)) ms = Number(text) * 1_000;
  // The oldest form does not say that it is in GMT.
  else if (/^[A-Z][a-z]{2,8},? /.test(text)) ms = Date.parse(text.replace(/( GMT)?$/, ' GMT')) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(longestRetryAfterMs, Math.max(0, ms));
}
