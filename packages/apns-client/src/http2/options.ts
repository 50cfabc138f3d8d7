import { maxStreamId } from '@pushfleet/apns-wire/http2';
import type { Authorities, CredentialSource } from '../socket/credential.ts';
import type { ProxyOptions } from '../socket/dial.ts';
import { type FrameSocket, type OpenSocket, openGatewaySocket } from '../socket/gateway-socket.ts';
import type { BackoffPolicy } from '../transport/backoff.ts';
import { type Clock, systemClock } from '../transport/clock.ts';
import { ConnectionAllowance } from '../transport/connection-allowance.ts';
import type { TransportObserver } from '../transport/transport.ts';

/** Where provider tokens come from; `ProviderTokenSource` of apns-credentials is one. */
export interface ProviderTokens {
  /** The token to send with; nothing where there is none yet, or none that is young enough. */
  current(): string | undefined;
  /** Sees to it that there is one. */
  refresh(): Promise<void>;
  /** The gateway called `jwt` expired. Answers whether there is another one to try with. */
  expired(jwt: string): Promise<boolean>;
  /**
   * The gateway called `jwt` invalid. Answers whether there is another one to try with. Absent: refused tokens are not
   * replaced.
   */
  refused?(jwt: string): Promise<boolean>;
  /** The gateway finds that tokens change too often. */
  tooManyUpdates(jwt: string): void;
  /**
   * The gateway is to be left alone for `ms`. Resolves to what is left of the fleet's common wait, milliseconds. Absent:
   * each worker waits by itself.
   */
  hold?(ms: number): Promise<number>;
  onChange(listener: () => void): () => void;
}

/** How the app shows that it may send (`docs/protocol/http2.md#provider-token`). */
export type Http2Authentication =
  | { readonly kind: 'certificate'; readonly credential: CredentialSource }
  | { readonly kind: 'token'; readonly tokens: ProviderTokens };

/** How an HTTP/2 transport is built. Times in milliseconds; every default has its reason beside it. */
export interface Http2TransportOptions {
  readonly host: string;
  readonly port: number;
  readonly authentication: Http2Authentication;
  /** The app's bundle id; for mdm, the certificate's UID. Push types add their own endings. */
  readonly topic: string;
  /** Name that the gateway's certificate must carry; `host` by default. */
  readonly serverName?: string;
  /** Authorities that may have signed the gateway's certificate; by default those that Node.js trusts. */
  readonly ca?: Authorities;
  readonly proxy?: ProxyOptions;
  /** Connections at most: as many are opened as what waits needs. Default 32. */
  readonly connections?: number;
  /** Connections that are kept as long as there are any. Default 1. */
  readonly leastConnections?: number;
  /** What it shares its connections beyond the first with. Absent: nothing. */
  readonly allowance?: ConnectionAllowance;
  /** How long fewer connections must have been enough before those beyond are closed. Default 60,000. */
  readonly shrinkAfterMs?: number;
  /** Streams per connection at most, also where the gateway allows more. Default 2,000. */
  readonly streams?: number;
  /** Notifications handed over and not settled, per connection: enough that no stream waits for a job. Default 20,000. */
  readonly window?: number;
  /** From the first packet to the gateway's SETTINGS. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** A write that makes no progress for this long means that the gateway has stopped reading. Default 20,000. */
  readonly writeStallMs?: number;
  /** How long an answer may take. Default 30,000. */
  readonly streamTimeoutMs?: number;
  /** Silence after which a PING asks whether the gateway is still there. Default 30,000. */
  readonly pingAfterMs?: number;
  /** How long its answer may take. Default 10,000. */
  readonly pingTimeoutMs?: number;
  /** TCP keepalive. Default 60,000. */
  readonly keepAliveMs?: number;
  /**
   * A connection without a request for this long is closed. Default an hour: Apple wants them kept
   * (`docs/protocol/http2.md#liveness`).
   */
  readonly idleTimeoutMs?: number;
  /**
   * Connections in a row that do not come about, or carry nothing, before the transport pauses about `worker`. Default 3.
   */
  readonly refusalsBeforePause?: number;
  /** How often a paused transport tries whether the trouble is over. Default 30,000. */
  readonly pauseProbeMs?: number;
  /**
   * How long to leave the gateway alone after TooManyProviderTokenUpdates. Default 20 minutes
   * (`docs/protocol/http2.md#provider-token`).
   */
  readonly tokenUpdatePauseMs?: number;
  readonly backoff?: BackoffPolicy;
  /** Connection attempts in any minute, at most. Default 240: half of them at once are enough for all connections. */
  readonly attemptsPerMinute?: number;
  /** Identifier of the last stream of a connection, at most; below 2^31 - 1 only to reach the end in tests. */
  readonly lastStreamId?: number;
  readonly observer?: TransportObserver;
  readonly clock?: Clock;
}

export type ResolvedHttp2Options = Required<
  Omit<Http2TransportOptions, 'ca' | 'proxy' | 'observer' | 'allowance'>
> & {
  readonly allowance: ConnectionAllowance;
  readonly ca: Authorities | undefined;
  readonly proxy: ProxyOptions | undefined;
  readonly observer: TransportObserver;
  /** How connections are made; another one only in tests. */
  readonly openSocket: OpenSocket<FrameSocket>;
};

export function resolveHttp2Options(options: Http2TransportOptions): ResolvedHttp2Options {
  return {
    serverName: options.host,
    connections: 32,
    leastConnections: 1,
    shrinkAfterMs: 60_000,
    streams: 2_000,
    window: 20_000,
    connectTimeoutMs: 10_000,
    writeStallMs: 20_000,
    streamTimeoutMs: 30_000,
    pingAfterMs: 30_000,
    pingTimeoutMs: 10_000,
    keepAliveMs: 60_000,
    idleTimeoutMs: 3_600_000,
    refusalsBeforePause: 3,
    pauseProbeMs: 30_000,
    tokenUpdatePauseMs: 20 * 60_000,
    backoff: { baseMs: 250, capMs: 30_000 },
    attemptsPerMinute: 240,
    lastStreamId: maxStreamId,
    clock: systemClock,
    ...options,
    ca: options.ca,
    proxy: options.proxy,
    observer: options.observer ?? {},
    allowance: options.allowance ?? new ConnectionAllowance(Number.POSITIVE_INFINITY),
    openSocket: openGatewaySocket,
  };
}
