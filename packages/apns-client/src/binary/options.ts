import type { NotificationCommand } from '@pushfleet/apns-wire';
import type { Authorities, CredentialSource } from '../socket/credential.ts';
import {
  type GatewaySocket,
  type GatewaySocketOptions,
  type OpenSocket,
  openGatewaySocket,
} from '../socket/gateway-socket.ts';
import type { BackoffPolicy } from '../transport/backoff.ts';
import { type Clock, systemClock } from '../transport/clock.ts';
import type { TransportObserver } from '../transport/transport.ts';
import type { FrameWriterOptions } from './frame-writer.ts';
import type { ShutdownIdentifier } from './status-policy.ts';
import { shortestStretch } from './write-ahead.ts';

/** How a binary transport is built. Times in milliseconds; every default has its reason beside it. */
export interface BinaryTransportOptions {
  readonly host: string;
  readonly port: number;
  readonly credential: CredentialSource;
  /** Name that the gateway's certificate must carry; `host` by default. */
  readonly serverName?: string;
  /** Authorities that may have signed the gateway's certificate; by default those that Node.js trusts. */
  readonly ca?: Authorities;
  /** 2 by default; 0 has neither identifiers nor error responses. */
  readonly command?: NotificationCommand;
  /**
   * Connections at most. Senders in the field use about 15 in all (`docs/protocol/binary.md#connections`). Default 2.
   */
  readonly connections?: number;
  /** Frames in flight per connection: a second at line rate. Default 1,000,000. */
  readonly window?: number;
  /** `presumed`: silence settles. `proved`: only proof does, by rotating connections. Default `presumed`. */
  readonly confirm?: 'presumed' | 'proved';
  /**
   * What becomes of frames in doubt. `resend`: the transport sends them again by itself, a little at a time
   * (docs/decisions/0016-after-doubt-small.md). `report`: they come back as `uncertain`. Default `report`.
   */
  readonly onUncertain?: 'resend' | 'report';
  /** Silence after which a frame counts as accepted (or, with `proved`, is due for proof). Default 1,000. */
  readonly confirmAfterMs?: number;
  /** Least time between two rotations: rapid reconnecting is treated as an attack. Default 10,000. */
  readonly rotationFloorMs?: number;
  /** How long the known-bad frame may go unanswered. Default 5,000. */
  readonly proofTimeoutMs?: number;
  /** From the look-up of the name to the end of the handshake. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** A write that makes no progress for this long means that the gateway has stopped reading. Default 20,000. */
  readonly writeStallMs?: number;
  /**
   * How long an error response may come after a write has failed (`docs/protocol/binary.md#late-errors`). Default
   * 1,000.
   */
  readonly errorGraceMs?: number;
  /** TCP keepalive: first probe after so much silence. Default 60,000. */
  readonly keepAliveMs?: number;
  /** A connection that wrote nothing for this long is closed, and never trusted again: NATs forget. Default 300,000. */
  readonly idleTimeoutMs?: number;
  /**
   * Silence that a first connection must keep after its handshake before anything is written on it, at least as long
   * as the handshake took: a gateway that dislikes the certificate hangs up right then
   * (`docs/protocol/binary.md#wrong-environment`). Default 100.
   */
  readonly handshakeSilenceMs?: number;
  /** Connections refused right after the handshake, in a row, before the transport pauses. Default 3. */
  readonly refusalsBeforePause?: number;
  /** How often a paused transport tries whether the trouble is over. Default 30,000. */
  readonly pauseProbeMs?: number;
  readonly backoff?: BackoffPolicy;
  /** Connection attempts in any minute, at most; half of them may come at once. Default 600. */
  readonly attemptsPerMinute?: number;
  readonly shutdownIdentifier?: ShutdownIdentifier;
  /**
   * Invalid tokens after which a run is a suspect: what is left of it goes over connections of their own, so that the
   * reconnects that it costs hold up nobody else (decision 0015). Default 3.
   */
  readonly suspectAfter?: number;
  /** The suspects' connections are closed after this long without work. Default 10,000. */
  readonly suspectIdleTimeoutMs?: number;
  readonly observer?: TransportObserver;
  readonly clock?: Clock;
}

export type ResolvedOptions = Required<Omit<BinaryTransportOptions, 'ca' | 'observer'>> & {
  readonly ca: Authorities | undefined;
  readonly observer: TransportObserver;
  readonly openSocket: OpenSocket<GatewaySocket>;
  readonly shortestStretch: number;
  readonly firstIdentifier?: number;
};

export function resolveOptions(options: BinaryTransportOptions): ResolvedOptions {
  if (options.confirm === 'proved' && options.command === 0) {
    throw new TypeError(
      'confirm "proved" needs command 1 or 2: command 0 has no answers that could prove anything',
    );
  }
  return {
    serverName: options.host,
    command: 2,
    connections: 2,
    window: 1_000_000,
    confirm: 'presumed',
    onUncertain: 'report',
    confirmAfterMs: 1_000,
    rotationFloorMs: 10_000,
    proofTimeoutMs: 5_000,
    connectTimeoutMs: 10_000,
    writeStallMs: 20_000,
    errorGraceMs: 1_000,
    keepAliveMs: 60_000,
    idleTimeoutMs: 300_000,
    handshakeSilenceMs: 100,
    refusalsBeforePause: 3,
    pauseProbeMs: 30_000,
    backoff: { baseMs: 250, capMs: 30_000 },
    attemptsPerMinute: 600,
    shutdownIdentifier: 'last-sent',
    suspectAfter: 3,
    suspectIdleTimeoutMs: 10_000,
    clock: systemClock,
    ...options,
    ca: options.ca,
    observer: options.observer ?? {},
    openSocket: openGatewaySocket,
    shortestStretch,
  };
}

/** What one binary connection needs to know. Times in milliseconds. */
export interface BinaryConnectionOptions extends GatewaySocketOptions, FrameWriterOptions {
  readonly id: string;
  readonly connectTimeoutMs: number;
  /** How long to go on reading for an error response after a write failed (`docs/protocol/binary.md#late-errors`). */
  readonly errorGraceMs: number;
  readonly shutdownIdentifier: ShutdownIdentifier;
  readonly openSocket: OpenSocket<GatewaySocket>;
  /** Identifier of the first frame; other than 1 only to reach the wrap in tests. */
  readonly firstIdentifier?: number;
}
