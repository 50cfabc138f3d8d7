import type { Fault, GatewayAnswer } from '../transport.ts';

// What an answer other than 200 means: the table of PROTOCOL section 4.

/** What is done about an answer. */
type AnswerAction =
  /** The gateway will never take the notification. */
  | 'reject'
  /** It had trouble with the notification, or with itself: the caller tries again later, bounded. */
  | 'retry'
  /** As `retry`, and this connection takes no more: the gateway wants to be rid of it. */
  | 'retry-elsewhere'
  | CredentialAction;

/** Nothing is wrong with the notification. */
export type CredentialAction =
  /** The credential is refused, and would be for every other. */
  | 'pause'
  /** The provider token is too old for the gateway: sign anew, once. */
  | 'sign-anew'
  /** The provider token's key is not related to this connection's first: use a new connection. */
  | 'reconnect'
  /** The fleet changes its provider token too often: go back to the old one. */
  | 'keep-token';

export function isAboutCredential(action: AnswerAction): action is CredentialAction {
  return action === 'pause' || action === 'sign-anew' || action === 'reconnect' || action === 'keep-token';
}

interface Policy {
  readonly action: AnswerAction;
  /** Evidence against the device token. */
  readonly tokenInvalid?: true;
}

const policies: Readonly<Record<string, Policy>> = {
  // Wrong with the request, and would be again.
  BadCollapseId: { action: 'reject' },
  BadExpirationDate: { action: 'reject' },
  BadMessageId: { action: 'reject' },
  BadPriority: { action: 'reject' },
  BadTopic: { action: 'reject' },
  DuplicateHeaders: { action: 'reject' },
  InvalidPushType: { action: 'reject' },
  MissingDeviceToken: { action: 'reject' },
  MissingTopic: { action: 'reject' },
  PayloadEmpty: { action: 'reject' },
  TopicDisallowed: { action: 'reject' },
  BadPath: { action: 'reject' },
  MethodNotAllowed: { action: 'reject' },
  PayloadTooLarge: { action: 'reject' },
  // Wrong with the device token. Whether to believe it is for the one who knows the rate (and the environment).
  BadDeviceToken: { action: 'reject', tokenInvalid: true },
  DeviceTokenNotForTopic: { action: 'reject', tokenInvalid: true },
  Unregistered: { action: 'reject', tokenInvalid: true },
  ExpiredToken: { action: 'reject', tokenInvalid: true },
  // Wrong with the credential.
  BadCertificate: { action: 'pause' },
  BadCertificateEnvironment: { action: 'pause' },
  BadEnvironmentKeyIdInToken: { action: 'pause' },
  Forbidden: { action: 'pause' },
  InvalidProviderToken: { action: 'pause' },
  MissingProviderToken: { action: 'pause' },
  ExpiredProviderToken: { action: 'sign-anew' },
  UnrelatedKeyIdInToken: { action: 'reconnect' },
  TooManyProviderTokenUpdates: { action: 'keep-token' },
  // Wrong with the moment.
  IdleTimeout: { action: 'retry-elsewhere' },
  Shutdown: { action: 'retry-elsewhere' },
  TooManyRequests: { action: 'retry' },
  InternalServerError: { action: 'retry' },
  ServiceUnavailable: { action: 'retry' },
};

/** What the gateway said, read and judged. */
export interface Verdict {
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

/** Judges any answer but 200. An unknown reason is tried again, bounded by the caller. */
export function judgeAnswer(raw: RawAnswer, nowMs: number): Verdict {
  const { reason, timestamp } = readBody(raw.body);
  const policy = policies[reason ?? ''] ?? policyByStatus(raw.status);
  const retryAfterMs = parseRetryAfter(raw.retryAfter, nowMs);
  return {
    action: policy.action,
    answer: {
      reason: reason ?? `Status${raw.status}`,
      status: raw.status,
      fault: faultOf(raw.status),
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
  return { reason, isCredential: policies[reason]?.action === 'pause' };
}

/** Without a reason that we know, only the statuses that can have but one meaning are final. */
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

/** An answer of 429 or 5xx is about the moment; any other is about what was asked. */
function faultOf(status: number): Fault {
  return status === 429 || status >= 500 ? 'gateway' : 'notification';
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
    // It goes into reports and logs: a name, or nothing.
    ...(typeof reason === 'string' && /^[A-Za-z][A-Za-z0-9]{0,63}$/.test(reason) ? { reason } : {}),
    ...(typeof timestamp === 'number' && Number.isSafeInteger(timestamp) && timestamp >= 0
      ? { timestamp }
      : {}),
  };
}

/** A day: whoever asks for more is asked again. */
const longestRetryAfterMs = 86_400_000;

/** RFC 9110 section 10.2.3. */
function parseRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const isDate = /^[A-Z][a-z]{2}, /.test(text);
  const ms = isDate ? Date.parse(text) - nowMs : /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Number.NaN;
  return Number.isNaN(ms) ? undefined : Math.min(longestRetryAfterMs, Math.max(0, ms));
}
