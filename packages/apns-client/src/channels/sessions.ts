import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { judgeAnswer } from '../http2/answer-policy.ts';
import type { ProviderTokens } from '../http2/options.ts';
import { createContext } from '../socket/credential.ts';
import { dial } from '../socket/dial.ts';
import { describeError } from '../socket/node-error.ts';
import { ChannelError } from './error.ts';
import type { ChannelClientOptions, ChannelEndpoint } from './options.ts';

// Requests about channels. They are few, so that node:http2 serves.

/** More than any list of 10,000 channels takes. */
const longestAnswer = 4 * 1024 * 1024;

export interface ChannelCall {
  readonly endpoint: ChannelEndpoint;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface ChannelAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One connection to each host, kept while it is used. */
export class ChannelSessions {
  readonly #options: ChannelClientOptions;
  readonly #sessions = new Map<ChannelEndpoint, Promise<ClientHttp2Session>>();
  #isClosed = false;

  constructor(options: ChannelClientOptions) {
    this.#options = options;
  }

  /** A token that the gateway calls expired is signed anew, once. */
  async call(call: ChannelCall): Promise<ChannelAnswer> {
    const { authentication, timeoutMs = 15_000 } = this.#options;
    const signal = AbortSignal.timeout(timeoutMs);
    const tokens = authentication.kind === 'token' ? authentication.tokens : undefined;
    const jwt = tokens === undefined ? undefined : await currentToken(tokens);
    try {
      return await this.#callOnce(call, jwt, signal);
    } catch (error) {
      const isExpired = error instanceof ChannelError && error.reason === 'ExpiredProviderToken';
      if (!isExpired || tokens === undefined || !(await tokens.expired(jwt!))) throw error;
      return this.#callOnce(call, tokens.current(), signal);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const opening of this.#sessions.values()) {
      opening.then(
        (session) => session.close(),
        () => undefined,
      );
    }
    this.#sessions.clear();
  }

  async #callOnce(call: ChannelCall, jwt: string | undefined, signal: AbortSignal): Promise<ChannelAnswer> {
    const answer = await this.#request(call, jwt, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const retryAfter = answer.headers['retry-after'];
    const { answer: said } = judgeAnswer(
      { status: answer.status, body: answer.body, retryAfter },
      Date.now(),
    );
    throw new ChannelError('refused', `APNs answered ${said.status} ${said.reason}`, said);
  }

  async #request(call: ChannelCall, jwt: string | undefined, signal: AbortSignal): Promise<ChannelAnswer> {
    try {
      return await request(await this.#open(call.endpoint, signal), call, jwt, signal);
    } catch (error) {
      if (error instanceof ChannelError) throw error;
      throw new ChannelError(
        'unreachable',
        `${call.endpoint.host}: ${describeError(error)}`,
        undefined,
        error,
      );
    }
  }

  /** Calls that come while a connection is being made wait for it. */
  async #open(endpoint: ChannelEndpoint, signal: AbortSignal): Promise<ClientHttp2Session> {
    for (;;) {
      if (this.#isClosed) throw new ChannelError('closed', 'The channel client is closed');
      const known = this.#sessions.get(endpoint);
      if (known === undefined) {
        const opening = this.#connect(endpoint, signal);
        this.#sessions.set(endpoint, opening);
        return opening;
      }
      const session = await known.catch(() => undefined);
      if (session !== undefined && !session.closed && !session.destroyed) return session;
      if (this.#sessions.get(endpoint) === known) this.#sessions.delete(endpoint);
    }
  }

  async #connect(endpoint: ChannelEndpoint, signal: AbortSignal): Promise<ClientHttp2Session> {
    const { authentication, ca, proxy, idleTimeoutMs = 300_000 } = this.#options;
    const own = authentication.kind === 'certificate' ? authentication.credential.current() : undefined;
    const late = (): ChannelError => new ChannelError('timeout', `${endpoint.host}: no connection in time`);
    if (signal.aborted) throw late();
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      const aborted = (): void => {
        opening.cancel();
        reject(late());
      };
      const opening = dial(
        {
          ...endpoint,
          serverName: endpoint.serverName ?? endpoint.host,
          secureContext: createContext(own, ca),
          proxy,
          protocol: 'h2',
          keepAliveMs: 60_000,
        },
        undefined,
        {
          opened: (tls) => {
            // Others will use the connection after this call.
            signal.removeEventListener('abort', aborted);
            resolve(tls);
          },
          failed: reject,
        },
      );
      signal.addEventListener('abort', aborted);
    });
    const session = connect(`https://${endpoint.host}:${endpoint.port}`, { createConnection: () => socket });
    // Errors reach the calls under way.
    session.on('error', () => undefined);
    session.setTimeout(idleTimeoutMs, () => session.close());
    return session;
  }
}

async function currentToken(tokens: ProviderTokens): Promise<string> {
  let cause: unknown;
  if (tokens.current() === undefined) {
    await tokens.refresh().catch((error: unknown) => {
      cause = error;
    });
  }
  const jwt = tokens.current();
  if (jwt !== undefined) return jwt;
  throw new ChannelError('no-provider-token', 'There is no provider token to send with', undefined, cause);
}

async function request(
  session: ClientHttp2Session,
  { endpoint, method, path, headers, body }: ChannelCall,
  jwt: string | undefined,
  signal: AbortSignal,
): Promise<ChannelAnswer> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void =>
      reject(
        signal.aborted
          ? new ChannelError('timeout', `${endpoint.host}: no answer in time`, undefined, error)
          : new ChannelError('unreachable', `${endpoint.host}: ${describeError(error)}`, undefined, error),
      );
    const stream = session.request(
      {
        ':method': method,
        ':path': path,
        ...headers,
        ...(jwt === undefined ? {} : { authorization: `bearer ${jwt}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      { signal, endStream: body === undefined },
    );
    let status = 0;
    let answered: IncomingHttpHeaders = {};
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (head) => {
      answered = head;
      status = head[':status'] ?? 0;
    });
    stream.on('data', (part: string) => {
      text += part;
      if (text.length > longestAnswer) stream.destroy(new Error('the answer is too long'));
    });
    stream.on('end', () => resolve({ status, headers: answered, body: text }));
    stream.on('error', failed);
    stream.on('close', () => failed(new Error('the connection ended before the answer')));
    if (body !== undefined) stream.end(body);
  });
}
