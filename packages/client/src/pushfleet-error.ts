/** What the API says when it does not do what was asked (RFC 9457), or why it could not be asked. */
export class PushfleetError extends Error {
  override readonly name = 'PushfleetError';
  /** Stable, as the API documents it; `unreachable` and `unreadable-answer` are the client's own. */
  readonly code: string;
  /** Of the answer; undefined: there was none. */
  readonly status: number | undefined;
  /** The fields at fault. */
  readonly errors: readonly { readonly field: string; readonly message: string }[];
  /** Names the request in the service's logs. */
  readonly requestId: string | undefined;
  /** It may have been stored nevertheless: repeat it only with the same idempotency key. */
  readonly maybeStored: boolean;
  /** Of `quota-exceeded`: the limit that the app has met. */
  readonly quota: QuotaRefusal | undefined;
  /** Seconds after which to try again, where the API says so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, message: string, details: PushfleetErrorDetails = {}) {
    super(message, details);
    this.code = code;
    this.status = details.status;
    this.errors = details.errors ?? [];
    this.requestId = details.requestId;
    this.maybeStored = details.maybeStored ?? false;
    this.quota = details.quota;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** What an app may have in its queues is used up. */
export interface QuotaRefusal {
  /** By its name in the configuration, such as `maxNotifications`. */
  readonly limit: string;
  readonly max: number;
  readonly used: number;
  /** What the request would have added; more than `max` never fits. */
  readonly asked: number;
}

interface PushfleetErrorDetails extends ErrorOptions {
  readonly status?: number | undefined;
  readonly errors?: readonly { readonly field: string; readonly message: string }[] | undefined;
  readonly requestId?: string | undefined;
  readonly maybeStored?: boolean | undefined;
  readonly quota?: QuotaRefusal | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** Reads an answer that is an error. */
export async function errorOf(answer: Response): Promise<PushfleetError> {
  const { status, headers } = answer;
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN);
  const retryAfterSeconds = Number.isFinite(retryAfter) ? retryAfter : undefined;
  const text = await answer.text().catch(() => '');
  const problem = parseProblem(text);
  if (problem === undefined) {
    return new PushfleetError('unreadable-answer', `was answered ${status}`, { status, retryAfterSeconds });
  }
  return new PushfleetError(problem.code, problem.detail, { ...problem, status, retryAfterSeconds });
}

interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  readonly requestId?: string;
  readonly maybeStored?: boolean;
  readonly quota?: QuotaRefusal;
}

function parseProblem(text: string): ProblemBody | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProblemBody> | null;
    return typeof value?.code === 'string' && typeof value.detail === 'string'
      ? (value as ProblemBody)
      : undefined;
  } catch {
    return undefined;
  }
}
