import type { Operations } from './api-types.ts';
import { errorOf, PushfleetError } from './pushfleet-error.ts';

export interface ClientOptions {
  /** Such as `https://push.example.com`. */
  readonly baseUrl: string;
  /** A key of the API, where it asks for one. */
  readonly key?: string;
  /** For one try of a request, milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** How often a request is repeated that may be repeated, when the API is away or busy. Default 3. */
  readonly retries?: number;
  /** Default: the one of the run-time. */
  readonly fetch?: typeof fetch;
  /**
   * For traces: gives the W3C `traceparent` of whoever calls, and is asked within each call. Where something else adds
   * the header to requests already, as instrumentations of `fetch` do, leave it out.
   */
  readonly traceparent?: () => string | undefined;
}

export interface CallOptions {
  /** Gives up. */
  readonly signal?: AbortSignal;
}

export type OperationName = keyof Operations;

export interface CallInput<Name extends OperationName> {
  readonly path?: Operations[Name]['path'];
  readonly query?: Partial<Operations[Name]['query']>;
  readonly body?: Operations[Name]['body'];
  /** Instead of `body`: text or bytes of that type. */
  readonly raw?: { readonly type: string; readonly body: NonNullable<RequestInit['body']> };
  readonly headers?: Readonly<Record<string, string>>;
  readonly accept?: string;
  /** It may be made twice. By default GET, PUT and DELETE. */
  readonly isRepeatable?: boolean;
  /** Milliseconds; 0: as long as it takes. */
  readonly timeoutMs?: number;
}

const firstRetryMs = 200;
const mostRetryMs = 10_000;

/** Makes requests, and makes them again where that is safe. */
export class Transport {
  readonly #options: ClientOptions;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? fetch;
  }

  /** Returns the answer's JSON. @throws PushfleetError */
  async call<Name extends OperationName>(
    name: Name,
    input: CallInput<Name> = {},
    options: CallOptions = {},
  ): Promise<Operations[Name]['answer']> {
    return this.#request(name, input, options, readJson<Operations[Name]['answer']>);
  }

  /** Returns the answer, its body unread. @throws PushfleetError */
  async open<Name extends OperationName>(
    name: Name,
    input: CallInput<Name>,
    options: CallOptions,
  ): Promise<Response> {
    return this.#request(name, input, options, (answer) => Promise.resolve(answer));
  }

  /** Asks, and asks again where that is safe. @throws PushfleetError */
  async #request<Name extends OperationName, Answer>(
    name: Name,
    input: CallInput<Name>,
    { signal }: CallOptions,
    read: (answer: Response) => Promise<Answer>,
  ): Promise<Answer> {
    const [method = 'GET', path = ''] = name.split(' ');
    const { retries = 3 } = this.#options;
    const isRepeatable = input.isRepeatable ?? method !== 'POST';
    const isGone = input.raw !== undefined && comesBitByBit(input.raw.body);
    const traceparent = this.#options.traceparent?.();
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#try(method, path, input, traceparent, signal, read);
      } catch (error) {
        if (!(error instanceof PushfleetError)) throw error;
        const { code, status, quota } = error;
        const neverFits = quota !== undefined && quota.asked > quota.max;
        const isBusy = code === 'unreachable' || (status === 429 && !neverFits) || status === 503;
        // 429 was refused before anything happened.
        const mayRepeat = isBusy && !isGone && (isRepeatable || status === 429);
        if (!mayRepeat || attempt >= retries || signal?.aborted === true) throw error;
        await pause(retryDelayMs(attempt, error), signal);
      }
    }
  }

  async #try<Name extends OperationName, Answer>(
    method: string,
    path: string,
    input: CallInput<Name>,
    traceparent: string | undefined,
    signal: AbortSignal | undefined,
    read: (answer: Response) => Promise<Answer>,
  ): Promise<Answer> {
    const { baseUrl, key, timeoutMs = 10_000 } = this.#options;
    const { body, raw, accept = 'application/json' } = input;
    const limitMs = input.timeoutMs ?? timeoutMs;
    const deadline = limitMs === 0 ? [] : [AbortSignal.timeout(limitMs)];
    const payload = raw?.body ?? (body === undefined ? undefined : JSON.stringify(body));
    const type = raw?.type ?? (body === undefined ? undefined : 'application/json');
    try {
      const answer = await this.#fetch(urlOf(baseUrl, path, input), {
        method,
        headers: {
          accept,
          ...(type === undefined ? {} : { 'content-type': type }),
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(traceparent === undefined ? {} : { traceparent }),
          ...input.headers,
        },
        signal: AbortSignal.any([...deadline, ...(signal === undefined ? [] : [signal])]),
        // A body that comes bit by bit goes out that way.
        ...(payload === undefined ? {} : { body: payload, duplex: 'half' }),
      });
      if (!answer.ok) throw await errorOf(answer);
      return await read(answer);
    } catch (cause) {
      if (cause instanceof PushfleetError) throw cause;
      const reason =
        cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : '';
      throw new PushfleetError('unreachable', `the API cannot be reached: ${reason}`, {
        cause,
        maybeStored: true,
      });
    }
  }
}

/** @throws PushfleetError `unreadable-answer`; what the network does */
async function readJson<Answer>(answer: Response): Promise<Answer> {
  if (answer.status === 204) return undefined as Answer;
  const text = await answer.text();
  try {
    return JSON.parse(text) as Answer;
  } catch (cause) {
    const { status } = answer;
    throw new PushfleetError('unreadable-answer', 'the answer cannot be read', { cause, status });
  }
}

/** What has been read of it cannot be sent again. */
function comesBitByBit(body: object | string): boolean {
  return typeof body === 'object' && (Symbol.asyncIterator in body || body instanceof ReadableStream);
}

function urlOf<Name extends OperationName>(baseUrl: string, path: string, input: CallInput<Name>): URL {
  const values = (input.path ?? {}) as Readonly<Record<string, string>>;
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
  const url = new URL(baseUrl.replace(/\/+$/, '') + filled);
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

/** What the API asks for, or longer each time; with full jitter, so that clients do not come back in step. */
function retryDelayMs(attempt: number, { retryAfterSeconds }: PushfleetError): number {
  const ms = Math.random() * Math.min(mostRetryMs, firstRetryMs * 2 ** attempt);
  return retryAfterSeconds === undefined ? ms : Math.min(mostRetryMs, retryAfterSeconds * 1_000) + ms;
}

/** Ends early when the signal comes. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
