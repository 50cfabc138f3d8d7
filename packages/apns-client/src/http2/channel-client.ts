import { randomUUID } from 'node:crypto';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { describeError } from '../node-error.ts';
import { judgeAnswer } from './answer-policy.ts';
import { ChannelError } from './channel-error.ts';
import type { Http2Authentication, ProviderTokens } from './http2-transport-options.ts';
import { openSocket, type ProxyOptions } from './open-socket.ts';

// Broadcast channels of Live Activities (iOS 18 and later): one notification to a channel reaches every device that
// has subscribed to it. Calls are few, so that node:http2 serves.

export interface ChannelEndpoint {
  readonly host: string;
  readonly port: number;
  /** Name that its certificate must carry; `host` by default. */
  readonly serverName?: string;
}

/** Apple's hosts: where channels are managed, and where notifications for them are sent. */
export const appleChannelEndpoints = {
  production: {
    manage: { host: 'api-manage-broadcast.push.apple.com', port: 2196 },
    send: { host: 'api.push.apple.com', port: 443 },
  },
  sandbox: {
    manage: { host: 'api-manage-broadcast.sandbox.push.apple.com', port: 2195 },
    send: { host: 'api.sandbox.push.apple.com', port: 443 },
  },
} as const;

export interface ChannelClientOptions {
  readonly manage: ChannelEndpoint;
  readonly send: ChannelEndpoint;
  readonly authentication: Http2Authentication;
  /** The app's bundle id. */
  readonly topic: string;
  /** PEM of the authorities that may have signed the hosts' certificates; the system's by default. */
  readonly ca?: string;
  readonly proxy?: ProxyOptions;
  /** For one call, connecting included. Milliseconds, 15,000 by default. */
  readonly timeoutMs?: number;
  /** Unused for so long, a connection is closed. Milliseconds, 300,000 by default. */
  readonly idleTimeoutMs?: number;
}

/** What APNs keeps of a channel's messages for devices that are offline: nothing, or the latest. */
export type MessageStorage = 'none' | 'latest';

export interface ChannelMessage {
  /** UTF-8 JSON, at most 5,120 bytes. */
  readonly payload: string;
  /** Epoch seconds; 0, the default: not stored. A channel that stores nothing takes no other. */
  readonly expiration?: number;
  /** 10 by default. */
  readonly priority?: 10 | 5 | 1;
}

/** Every call rejects with `ChannelError`. */
export interface ChannelClient {
  /** Gives the id of a new channel: base64. An app may have 10,000 in each environment. */
  create(storage: MessageStorage): Promise<string>;
  read(channelId: string): Promise<{ readonly storage: MessageStorage }>;
  delete(channelId: string): Promise<void>;
  /** Ids of all channels of the app. */
  list(): Promise<string[]>;
  /** Sends to every device that has subscribed. Not sent again by itself: a second one would be shown. */
  send(channelId: string, message: ChannelMessage): Promise<{ readonly requestId: string }>;
  close(): void;
}

/** Of a broadcast, UTF-8 bytes. */
const maxPayloadBytes = 5_120;
/** More than any list of 10,000 channels takes. */
const longestAnswer = 4 * 1024 * 1024;

interface Call {
  readonly endpoint: ChannelEndpoint;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Opens nothing before the first call. */
export function createChannelClient(options: ChannelClientOptions): ChannelClient {
  const { manage, send, topic } = options;
  const sessions = new ChannelSessions(options);
  const app = encodeURIComponent(topic);
  const channels = `/1/apps/${app}/channels`;
  return {
    async create(storage) {
      const policy = storage === 'latest' ? 1 : 0;
      const body = JSON.stringify({ 'message-storage-policy': policy, 'push-type': 'LiveActivity' });
      const { headers } = await sessions.call({ endpoint: manage, method: 'POST', path: channels, body });
      const channelId = headers['apns-channel-id'];
      if (typeof channelId === 'string' && channelId !== '') return channelId;
      throw new ChannelError('answer-unreadable', 'The channel was created, and the answer does not name it');
    },
    async read(channelId) {
      const { body } = await sessions.call({
        ...{ endpoint: manage, method: 'GET', path: channels },
        headers: channelHeader(channelId),
      });
      const { 'message-storage-policy': policy } = parseObject(body);
      if (policy !== 0 && policy !== 1) {
        throw new ChannelError('answer-unreadable', 'The answer has no message-storage-policy');
      }
      return { storage: policy === 1 ? 'latest' : 'none' };
    },
    async delete(channelId) {
      await sessions.call({
        ...{ endpoint: manage, method: 'DELETE', path: channels },
        headers: channelHeader(channelId),
      });
    },
    async list() {
      const path = `/1/apps/${app}/all-channels`;
      const { body } = await sessions.call({ endpoint: manage, method: 'GET', path });
      const { channels: ids } = parseObject(body);
      if (Array.isArray(ids) && ids.every((id) => typeof id === 'string')) return ids;
      throw new ChannelError('answer-unreadable', 'The answer has no list of channels');
    },
    async send(channelId, { payload, expiration = 0, priority = 10 }) {
      const bytes = Buffer.byteLength(payload);
      if (bytes > maxPayloadBytes) {
        throw new ChannelError(
          'request-invalid',
          `payload: has ${bytes} bytes, at most ${maxPayloadBytes} are taken`,
        );
      }
      const requestId = randomUUID();
      await sessions.call({
        endpoint: send,
        method: 'POST',
        path: `/4/broadcasts/apps/${app}`,
        headers: {
          ...channelHeader(channelId),
          'apns-push-type': 'liveactivity',
          'apns-expiration': String(expiration),
          'apns-priority': String(priority),
          'apns-request-id': requestId,
        },
        body: payload,
      });
      return { requestId };
    },
    close: () => sessions.close(),
  };
}

/** One connection to each host, kept while it is used. */
class ChannelSessions {
  readonly #options: ChannelClientOptions;
  readonly #sessions = new Map<ChannelEndpoint, Promise<ClientHttp2Session>>();
  #isClosed = false;

  constructor(options: ChannelClientOptions) {
    this.#options = options;
  }

  /** A token that the gateway calls expired is signed anew, once. */
  async call(call: Call): Promise<Answer> {
    if (this.#isClosed) throw new ChannelError('closed', 'The channel client is closed');
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

  async #callOnce(call: Call, jwt: string | undefined, signal: AbortSignal): Promise<Answer> {
    const answer = await this.#request(call, jwt, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const retryAfter = answer.headers['retry-after'];
    const { answer: said } = judgeAnswer(
      { status: answer.status, body: answer.body, retryAfter },
      Date.now(),
    );
    throw new ChannelError('refused', `APNs answered ${said.status} ${said.reason}`, said);
  }

  async #request(call: Call, jwt: string | undefined, signal: AbortSignal): Promise<Answer> {
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

  async #open(endpoint: ChannelEndpoint, signal: AbortSignal): Promise<ClientHttp2Session> {
    const open = await this.#sessions.get(endpoint)?.catch(() => undefined);
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const opening = this.#connect(endpoint, signal);
    this.#sessions.set(endpoint, opening);
    return opening;
  }

  async #connect(endpoint: ChannelEndpoint, signal: AbortSignal): Promise<ClientHttp2Session> {
    const { authentication, ca, proxy, idleTimeoutMs = 300_000 } = this.#options;
    const own = authentication.kind === 'certificate' ? authentication.credential.current() : undefined;
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      const { cancel } = openSocket(
        {
          ...endpoint,
          serverName: endpoint.serverName ?? endpoint.host,
          secureContext: createSecureContext({
            minVersion: 'TLSv1.2',
            ...(ca === undefined ? {} : { ca }),
            ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
          }),
          proxy,
          keepAliveMs: 60_000,
        },
        {
          ready: resolve,
          failed: (error) =>
            reject(
              new ChannelError('unreachable', `${endpoint.host}: ${describeError(error)}`, undefined, error),
            ),
        },
      );
      signal.addEventListener('abort', () => {
        cancel();
        reject(new ChannelError('timeout', `${endpoint.host}: no connection in time`));
      });
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
  { endpoint, method, path, headers, body }: Call,
  jwt: string | undefined,
  signal: AbortSignal,
): Promise<Answer> {
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

function channelHeader(channelId: string): Readonly<Record<string, string>> {
  if (/^[A-Za-z0-9+/_=-]{1,256}$/.test(channelId)) return { 'apns-channel-id': channelId };
  throw new ChannelError('request-invalid', 'channelId: is not one that APNs gives');
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // As unreadable as any other.
  }
  throw new ChannelError('answer-unreadable', 'The answer is not a JSON object');
}
