import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { payload, tokenOf } from './simulator-test.ts';

export interface Http2ClientOptions {
  readonly port: number;
  readonly ca: string;
  /** Undefined: connects without a certificate. */
  readonly identity: { readonly cert: string; readonly key: string } | undefined;
  /** Sent with every request. */
  readonly headers?: OutgoingHttpHeaders;
}

export interface Http2Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The reason in the body. */
  readonly reason: string | undefined;
  /** Code of the RST_STREAM or error that ended the stream without an answer. */
  readonly error: string | undefined;
}

export interface PushOptions {
  readonly number?: number;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string | Buffer;
}

/** What the gateway said when it told the connection to go. */
export interface ReceivedGoAway {
  readonly code: number;
  readonly lastStreamId: number;
  readonly data: string;
}

/** A client of the HTTP/2 gateway on node:http2. */
export class Http2Client {
  readonly session: ClientHttp2Session;
  readonly goAways: ReceivedGoAway[] = [];
  /** Limits on streams, in the order in which the gateway told them. */
  readonly streamLimits: (number | undefined)[] = [];
  /** Settles when the connection is gone. */
  readonly ended: Promise<void>;
  readonly #headers: OutgoingHttpHeaders;

  constructor({ port, ca, identity, headers }: Http2ClientOptions) {
    this.#headers = headers ?? {};
    this.session = connect(`https://127.0.0.1:${port}`, { ca, ...identity });
    this.session.on('error', () => undefined);
    this.session.on('remoteSettings', ({ maxConcurrentStreams }) =>
      this.streamLimits.push(maxConcurrentStreams),
    );
    this.session.on('goaway', (code, lastStreamId, data?: Buffer) => {
      this.goAways.push({ code, lastStreamId, data: Buffer.from(data ?? []).toString() });
    });
    this.ended = new Promise((resolve) => {
      this.session.once('close', () => resolve());
    });
  }

  async connected(): Promise<this> {
    if (this.session.connecting) await once(this.session, 'connect');
    // The gateway's settings have come too.
    if (this.streamLimits.length === 0) await once(this.session, 'remoteSettings');
    return this;
  }

  get socket(): Socket {
    return this.session.socket;
  }

  /** Sends a sound push for the token of the number; headers with the value undefined are left out. */
  async push(headers: OutgoingHttpHeaders = {}, options: PushOptions = {}): Promise<Http2Answer> {
    const { number = 1, method = 'POST', body = payload } = options;
    const path = options.path ?? `/3/device/${tokenOf(number).toString('hex')}`;
    const merged = {
      ':method': method,
      ':path': path,
      'apns-topic': 'com.example.shop',
      ...this.#headers,
      ...headers,
    };
    const sent = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
    const stream = this.session.request(sent);
    let error: string | undefined;
    let answer: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    const chunks: Buffer[] = [];
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      error = cause.message;
    });
    stream.on('response', (received) => {
      answer = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    // Without a body the request ends with its headers.
    if (body.length > 0) stream.end(body);
    else stream.end();
    if (!stream.closed || !stream.destroyed) await new Promise((resolve) => stream.once('close', resolve));
    const text = Buffer.concat(chunks).toString();
    return { status: answer[':status'], headers: answer, body: text, reason: reasonIn(text), error };
  }

  /** Sends several at once, with the numbers from `first` to `last`. */
  async pushAll(first: number, last: number): Promise<Http2Answer[]> {
    const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    return Promise.all(numbers.map(async (number) => this.push({}, { number })));
  }

  async close(): Promise<void> {
    this.session.close();
    await this.ended;
  }
}

function reasonIn(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { reason?: string }).reason;
  } catch {
    return undefined;
  }
}
