import type { QuotaRefusal } from '@pushfleet/push-queue';

/** What a request may be told, by a stable code. `title` does not change with the occurrence. */
export const problemKinds = {
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'invalid-request': { status: 400, title: 'The request is not as the API wants it' },
  'invalid-notification': { status: 400, title: 'A notification cannot be sent as it is' },
  unauthorized: { status: 401, title: 'A key is needed' },
  forbidden: { status: 403, title: 'The key is not good for this' },
  'foreign-request': { status: 403, title: 'The request is not from here, or not for here' },
  'no-route': { status: 404, title: 'There is no such route' },
  'method-not-allowed': { status: 405, title: 'The route does not take this method' },
  'request-timeout': { status: 408, title: 'The request did not come in time' },
  'unknown-app': { status: 404, title: 'There is no such app' },
  'unknown-batch': { status: 404, title: 'There is no such batch' },
  'unknown-notification': { status: 404, title: 'There is no such notification' },
  'unknown-device': { status: 404, title: 'There is no such device' },
  'unknown-broadcast': { status: 404, title: 'There is no such broadcast' },
  'unknown-upload': { status: 404, title: 'There is no such list' },
  'unknown-webhook': { status: 404, title: 'There is no such webhook' },
  'unknown-dead-letter': { status: 404, title: 'There is no such dead letter' },
  'webhook-inactive': { status: 409, title: 'Nothing is delivered to the webhook any more' },
  'already-settled': { status: 409, title: 'Nothing of it waits to be sent any more' },
  'not-replayable': { status: 409, title: 'A letter that cannot be read cannot be replayed' },
  'no-devices': { status: 422, title: 'None of the users has a device' },
  'idempotency-conflict': { status: 409, title: 'The idempotency key was used for another request' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is of a type that is not understood here' },
  'request-too-large': { status: 431, title: 'The path or the headers of the request are too large' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'quota-exceeded': { status: 429, title: 'The app may have no more in its queues' },
  internal: { status: 500, title: 'The service has failed' },
  backpressure: { status: 503, title: 'Too much waits to be written' },
  'redis-unavailable': { status: 503, title: 'The queue cannot be reached' },
  'redis-timeout': { status: 503, title: 'The queue has not answered in time' },
  'database-unavailable': { status: 503, title: 'The database cannot be reached' },
  'keys-unavailable': { status: 503, title: 'The keys have not been read yet' },
  stopping: { status: 503, title: 'The service is being stopped' },
} as const satisfies Readonly<Record<string, { status: number; title: string }>>;

export type ProblemCode = keyof typeof problemKinds;

export interface FieldError {
  /** Path of the field, such as `notifications[3].token`; a header by its name. */
  readonly field: string;
  readonly message: string;
}

export interface ProblemOptions extends ErrorOptions {
  readonly errors?: readonly FieldError[];
  /** Seconds after which to try again; of 429 and 503. */
  readonly retryAfterSeconds?: number;
  /** It may have been stored nevertheless. */
  readonly maybeStored?: boolean;
  /** Of `quota-exceeded`. */
  readonly quota?: QuotaRefusal | undefined;
  /** Methods that the route takes; of 405. */
  readonly allow?: readonly string[];
}

/** Seconds; how long a client should wait when we cannot know better. */
const usualRetryAfterSeconds = 1;

/** A request cannot be served. Answered as problem+json (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly errors: readonly FieldError[];
  readonly retryAfterSeconds: number | undefined;
  readonly maybeStored: boolean;
  readonly quota: QuotaRefusal | undefined;
  readonly allow: readonly string[];

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.code = code;
    this.status = problemKinds[code].status;
    this.errors = options.errors ?? [];
    this.retryAfterSeconds =
      options.retryAfterSeconds ?? (this.status === 503 ? usualRetryAfterSeconds : undefined);
    this.maybeStored = options.maybeStored ?? false;
    this.quota = options.quota;
    this.allow = options.allow ?? [];
  }

  /** Headers of the answer. */
  headers(): Record<string, string> {
    return {
      'content-type': 'application/problem+json; charset=utf-8',
      ...(this.retryAfterSeconds === undefined ? {} : { 'retry-after': String(this.retryAfterSeconds) }),
      ...(this.allow.length === 0 ? {} : { allow: this.allow.join(', ') }),
    };
  }

  toBody(requestId: string): ProblemBody {
    return {
      type: `urn:pushfleet:problem:${this.code}`,
      title: problemKinds[this.code].title,
      status: this.status,
      code: this.code,
      detail: this.message,
      requestId,
      ...(this.errors.length === 0 ? {} : { errors: [...this.errors] }),
      ...(this.maybeStored ? { maybeStored: true } : {}),
      ...(this.quota === undefined ? {} : { quota: this.quota }),
    };
  }
}

export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly requestId: string;
  readonly errors?: FieldError[];
  readonly maybeStored?: boolean;
  readonly quota?: QuotaRefusal;
}

export function invalidRequest(field: string, message: string): Problem {
  return new Problem('invalid-request', `${field}: ${message}`, { errors: [{ field, message }] });
}
