import type { NotificationColumns } from '@pushfleet/apns-wire';
import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';

// The one interface between a worker and a gateway, whichever protocol stands behind it.
//
// Terminology:
// - run: notifications handed over together, as columns. The transport refers to them by position.
// - settle: reach a verdict. Every position of a run is settled exactly once.
//
// Calls speak of ranges of positions, half-open: [from, to). At hundreds of thousands of notifications a second there is no
// room for a promise, a timer or an object per notification.

/** `proved`: the gateway said so. `presumed`: binary's silence said so. */
export type Certainty = 'proved' | 'presumed';

/** What a transport says of notifications with which it is done. Objects of this type are shared: compare `kind`. */
export type Verdict =
  /** The gateway took it. */
  | { readonly kind: 'accepted'; readonly certainty: Certainty }
  /** The gateway will never take it. */
  | { readonly kind: 'rejected'; readonly answer: GatewayAnswer }
  /** The gateway did not take it, and may later: it is to be tried again, as `answer.fault` says. */
  | { readonly kind: 'retryable'; readonly answer: GatewayAnswer }
  /** The connection ended under it: whether the gateway has it cannot be known. */
  | { readonly kind: 'uncertain'; readonly cause: ConnectionEnd }
  /** Its expiration passed before it was written. */
  | { readonly kind: 'expired' }
  /** It never reached the gateway, or the gateway discarded it: sending it again is safe. */
  | { readonly kind: 'unprocessed' };

/** Receives what becomes of a run, also before `submit` has returned. Implementations must not throw. */
export interface OutcomeSink {
  /** Called for every position exactly once. */
  settled(from: number, to: number, verdict: Verdict): void;
  /** Handed to the socket. Informational, may be repeated for a position that is replayed. */
  written(from: number, to: number): void;
  /**
   * The transport sends them again by itself, although the gateway may have had them. Informational: the verdict is
   * still to come.
   */
  resent?(from: number, to: number, cause: ConnectionEnd): void;
}

/** Until when notifications may be written. Its holder prolongs it; it is read anew before every write. */
export interface Lease {
  /** By `Clock.now()`, milliseconds. From then on another worker may be sending them. */
  readonly untilMs: number;
}

export interface NotificationRun {
  readonly columns: NotificationColumns;
  readonly sink: OutcomeSink;
  /** What has not been written when it ends comes back as `unprocessed`. Absent: no other worker can have the run. */
  readonly lease?: Lease;
  /** Facts that only HTTP/2 sends; absent on binary. */
  readonly http2?: Http2Columns;
}

/** Per-notification request headers of HTTP/2 (`docs/protocol/http2.md#requests`); a single value stands for all. */
export interface Http2Columns {
  readonly pushType: string | readonly string[];
  readonly collapseId: string | null | readonly (string | null)[];
  /** The lower-case UUID of position `p`. */
  apnsId(position: number): string;
}

/**
 * Why a transport wants as many connections as it does; a closed set, usable as a metric label. `least`: no more are needed.
 * `streams`, `window`, `backlog`: others were opened because something waited while those there were used up: their streams,
 * the gateway's window of flow control, or what the network takes. `reserved`: a worker keeps one for a lane.
 */
export const connectionNeeds = ['least', 'backlog', 'streams', 'window', 'reserved'] as const;
export type ConnectionNeed = (typeof connectionNeeds)[number];

/** One connection, as it is now. */
export interface ConnectionFigures {
  readonly id: string;
  readonly state: string;
  /** There and back, milliseconds; undefined: not measured. */
  readonly roundTripMs: number | undefined;
  /** Requests under way, and how many may be; on binary, notifications without an outcome. */
  readonly streams: number;
  readonly streamsAllowed: number;
  /** What the gateway allows to be sent now, bytes of payloads; undefined on binary. */
  readonly windowBytes: number | undefined;
}

export interface TransportFigures {
  /** Connections that are wanted now, and why. */
  readonly wanted: number;
  readonly need: ConnectionNeed;
  readonly connections: readonly ConnectionFigures[];
}

/** Why a connection ended, or on HTTP/2 a stream alone; a closed set, usable as a metric label. */
export const connectionEnds = [
  'error-response',
  'gateway-closed',
  'reset',
  'write-error',
  'write-stalled',
  'proof-timeout',
  'connect-failed',
  'tls-failed',
  'credential-refused',
  'rotated',
  'idle',
  'drained',
  'protocol-violation',
  'goaway',
  'ping-timeout',
  'stream-reset',
  'stream-stalled',
  'gateway-errors',
  'foreign-answers',
] as const;
export type ConnectionEnd = (typeof connectionEnds)[number];

/**
 * What a transport is paused for. `credential` and `topic`: the gateway said so, of the credential or topic itself; it
 * would tell every other worker the same. `worker`: what concerns this machine or its way to the gateway, such as
 * authorities, files, the clock, the route, a proxy; another worker may be able to send.
 */
export type PauseKind = 'credential' | 'topic' | 'worker';

export type TransportState =
  /** No connection: none needed yet, or closed after idleness. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'open'; readonly connections: number }
  /** The last attempt failed; the next is at `untilMs`, by `Clock.now()`. */
  | { readonly kind: 'backing-off'; readonly untilMs: number; readonly cause: string }
  /** Nothing is sent until a probe succeeds, or the credential is renewed. */
  | {
      readonly kind: 'paused';
      readonly about: PauseKind;
      readonly reason: string;
      /** By `Clock.now()`, as all times of a state; not epoch milliseconds. */
      readonly sinceMs: number;
      /** When the gateway was last asked whether the trouble is over. */
      readonly checkedAtMs: number;
      /** When it is asked again. */
      readonly untilMs: number;
      /** The gateway wants to be left alone until then; otherwise it is the transport that chooses the time. */
      readonly isHold: boolean;
    }
  | { readonly kind: 'closed' };

/** What happens inside, for metrics and logs. Every method is optional; a throwing observer breaks nothing. */
export interface TransportObserver {
  stateChanged?(state: TransportState): void;
  /** @param resumed Whether it took up an earlier TLS session. */
  connectionOpened?(connectionId: string, resumed: boolean): void;
  /** Also of attempts that never opened: their lifetime is 0. */
  connectionClosed?(connectionId: string, end: ConnectionEnd, lifetimeMs: number): void;
  /** The gateway ended a connection with an error response, or on HTTP/2 answered with an error. */
  errorResponse?(connectionId: string, status: number): void;
  /**
   * An error response came for what silence had settled already: `wronglyPresumed` notifications count as accepted,
   * `presumed`, although the gateway refused or discarded them. A sign that silence is trusted too soon.
   */
  lateErrorResponse?(connectionId: string, status: number, wronglyPresumed: number): void;
  /**
   * Before it closed a connection, the transport asked the gateway to confirm `notifications` that silence had settled, and
   * got no answer: some or all of them may be lost.
   */
  unconfirmed?(connectionId: string, notifications: number): void;
  replayed?(notifications: number): void;
  uncertain?(notifications: number, cause: ConnectionEnd): void;
}

export interface Transport {
  readonly state: TransportState;
  /** How many more notifications may be handed over now; 0 or less: take no job. */
  readonly room: number;
  /** Notifications handed over and not yet settled. */
  readonly inFlight: number;
  /** Its connections, for metrics. */
  readonly figures: TransportFigures;
  /** Called whenever `room` rises from 0 or less, or the state changes. */
  onRoom(listener: () => void): void;
  /** Hands over a whole run. Order within the run is kept on each connection. */
  submit(run: NotificationRun): void;
  /**
   * Hands back everything that waits: as `unprocessed` what has not been written, as `uncertain` what waits to be sent
   * again. What is in flight goes on.
   */
  recall(): void;
  /** Paused or backing off: asks the gateway at once whether the trouble is over, and does not wait for the time to do so. */
  probeNow(): void;
  /**
   * Stops taking runs, settles what is in flight with a proof where the protocol has one, hands back the rest as
   * `unprocessed` (never written) or `uncertain` (written, unproved at the deadline), and closes.
   */
  drain(deadlineMs: number): Promise<void>;
  /** Closes at once; everything unsettled comes back as `uncertain` or `unprocessed`. */
  destroy(): void;
}
