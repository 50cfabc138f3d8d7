import type { SecureContext } from 'node:tls';
import { encodeGoAway, Http2ErrorCode, Http2WireError } from '@pushfleet/apns-wire/http2';
import { ChunkPool } from '../socket/chunk-pool.ts';
import { describeError } from '../socket/node-error.ts';
import type { Connection } from '../transport/connections.ts';
import type { ConnectionEnd, ConnectionFigures } from '../transport/transport.ts';
import type { AnswerMeaning } from './answer-policy.ts';
import { encodeGreeting } from './answer-reader.ts';
import type { AnswerTimes } from './answer-times.ts';
import type { Backlog } from './backlog.ts';
import { type Http2Closure, politeEnds, socketEndOf } from './closure.ts';
import { FrameOutlet } from './frame-outlet.ts';
import { Liveness } from './liveness.ts';
import type { ResolvedHttp2Options } from './options.ts';
import { Probe } from './probe.ts';
import { Http2Session } from './session.ts';
import type { StreamOutcomeEvents } from './stream-outcomes.ts';
import type { OpenStream } from './stream-table.ts';

// One connection of the HTTP/2 gateway (docs/lifecycles/connection.md): its socket, its time, and its session.
//
//   connecting ──▶ open ──▶ leaving ──▶ closed
//        └───────────┴──────────────────▲
//
// - connecting: TCP, the proxy's tunnel, TLS, and the gateway's SETTINGS, which say how many streams it takes.
// - open: requests are written, answers come in any order.
// - leaving: no more requests; the answers that are due are waited for. By GOAWAY, or because we want to: also where
//   the connection does not do its work, since answers that come late settle what would be uncertain.
// - closed: everything in the window has been handed back, exactly once.
//
// The connection never decides what becomes of what it hands back: its owner does.

/** What a connection tells its owner. `ended` comes exactly once, last. */
export interface Http2ConnectionEvents
  extends Pick<StreamOutcomeEvents, 'accepted' | 'unprocessed' | 'uncertain'> {
  opened(connection: Http2Connection): void;
  /** Any answer but 200. */
  judged(connection: Http2Connection, stream: OpenStream, meaning: AnswerMeaning): void;
  /** What the gateway said to the probe; undefined: 200. */
  probed(connection: Http2Connection, stream: OpenStream, meaning: AnswerMeaning | undefined): void;
  /** Something was read, or written: there may be room to write again. Comes after everything that it brought. */
  progressed(): void;
  /** A GOAWAY named the credential as its reason. */
  credentialRefused(reason: string): void;
  /** It is being left because it does not do its work. */
  doubted(end: ConnectionEnd, reason: string): void;
  ended(connection: Http2Connection, closure: Http2Closure): void;
}

export interface Http2ConnectionSetup {
  readonly id: string;
  readonly secureContext: SecureContext;
  /** The gateway is not known to take the credential. */
  readonly isInDoubt: boolean;
  /** The one before it left doubt. */
  readonly startsSmall: boolean;
  /** Requests that may go out before the gateway's SETTINGS have come. */
  readonly earlyStreams: number;
  /** What answers take, over all connections. */
  readonly answerTimes: AnswerTimes;
}

type State =
  | { readonly kind: 'connecting'; readonly cancelTimer: () => void; readonly isReady: boolean }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'leaving';
      readonly end: ConnectionEnd;
      readonly detail: string;
      readonly byOurselves: boolean;
    }
  | { readonly kind: 'closed' };

/** How long to go on reading answers after a write has failed. */
const errorGraceMs = 1_000;
/** Ticks come at least once a second. After this long without one, this process stood still, not the gateway. */
const stoodStillMs = 5_000;

export class Http2Connection implements Connection {
  readonly id: string;

  readonly #options: ResolvedHttp2Options;
  readonly #events: Http2ConnectionEvents;
  readonly #outlet: FrameOutlet;
  readonly #session: Http2Session;
  readonly #liveness: Liveness;
  #state: State;
  #openedAtMs: number | undefined;
  #hasProbed = false;
  #isResumed = false;
  #isRefused = false;
  #tickedAtMs: number;
  #cancelGrace: (() => void) | undefined;

  constructor(options: ResolvedHttp2Options, setup: Http2ConnectionSetup, events: Http2ConnectionEvents) {
    const { clock, connectTimeoutMs, writeStallMs } = options;
    const { id, secureContext } = setup;
    this.id = id;
    this.#options = options;
    this.#events = events;
    this.#session = new Http2Session(
      { ...options, ...setup },
      {
        accepted: (run, from, to) => events.accepted(run, from, to),
        judged: (stream, meaning) => events.judged(this, stream, meaning),
        probed: (stream, meaning) => events.probed(this, stream, meaning),
        unprocessed: (streams) => events.unprocessed(streams),
        uncertain: (spans, cause) => events.uncertain(spans, cause),
      },
      {
        ready: () => this.#becomeOpen(),
        goAway: (detail, isCredential) => this.#goAway(detail, isCredential),
        troubled: (trouble, end, detail) => {
          if (trouble === 'probe-lost') this.#close(end, detail);
          else this.doubt(end, 'every stream was refused');
        },
        frame: (frame) => this.#outlet.queue(frame),
      },
    );
    this.#liveness = new Liveness(options, clock.now());
    this.#tickedAtMs = clock.now();
    const cancelTimer = clock.after(connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${connectTimeoutMs} ms`),
    );
    this.#state = { kind: 'connecting', cancelTimer, isReady: false };
    const socket = options.openSocket(
      { ...options, secureContext, protocol: 'h2' },
      {
        opened: (resumed) => this.#greet(resumed),
        received: (bytes) => this.#receive(bytes),
        writeFailed: (error) => this.#writeFailed(error),
        ended: () => this.#close('gateway-closed', 'the gateway closed the connection'),
        failed: (error) => this.#socketFailed(error),
      },
    );
    this.#outlet = new FrameOutlet(socket, {
      clock,
      writeStallMs,
      sent: () => {
        if (!this.#isClosed) this.#events.progressed();
      },
      stalled: (detail) => this.#close('write-stalled', detail),
    });
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  /** Whether `write` would take anything now. */
  get isWritable(): boolean {
    return this.#takesRequests && this.#outlet.hasRoom && !this.isSaturated;
  }

  get inFlight(): number {
    return this.#session.inFlight;
  }

  /** Whether only the gateway can make room. */
  get isSaturated(): boolean {
    return this.#session.isSaturated;
  }

  /** Whether the gateway has dealt with a request. */
  get hasServed(): boolean {
    return this.#session.hasServed;
  }

  /** How many streams the first SETTINGS allowed; undefined: they have not come. */
  get firstStreams(): number | undefined {
    return this.#session.firstStreams;
  }

  /** There and back, milliseconds, whatever else is under way; undefined: not measured yet. */
  get roundTripMs(): number | undefined {
    return this.#session.roundTripMs;
  }

  /** What keeps it from taking more. */
  get lack(): 'streams' | 'window' | 'backlog' {
    if (this.#session.room <= 0) return 'streams';
    return this.isSaturated ? 'window' : 'backlog';
  }

  /** Whether it took up an earlier TLS session. */
  get isResumed(): boolean {
    return this.#isResumed;
  }

  get figures(): ConnectionFigures {
    const { inFlight: streams, streams: streamsAllowed, window: windowBytes } = this.#session;
    return {
      id: this.id,
      state: this.state,
      roundTripMs: this.roundTripMs,
      streams,
      streamsAllowed,
      windowBytes,
    };
  }

  /** Whether the gateway has shown that it takes our credential, and serves as many streams as we want. */
  get isTrusted(): boolean {
    return this.#session.isTrusted;
  }

  /** The gateway may not have said how many streams it takes: a few are sure to be allowed. */
  get #takesRequests(): boolean {
    return this.isOpen || (this.#state.kind === 'connecting' && this.#state.isReady);
  }

  get #isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  /** Writes requests from the front of the backlog until a chunk, the window or the backlog is used up. */
  write(backlog: Backlog, authorization: string | undefined): void {
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#send(chunk, this.#session.fill(context, backlog));
    if (this.#session.isExhausted) this.leave('rotated', 'out of stream identifiers');
  }

  /**
   * Asks the gateway whether it takes our credential, with a request that can reach no device. Does nothing while the
   * gateway allows no stream: to be called again when it has moved.
   */
  probe(authorization: string | undefined): void {
    if (!this.#takesRequests || this.#hasProbed || this.#session.room <= 0) return;
    this.#hasProbed = true;
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#send(chunk, this.#session.fillWith(context, new Probe(this.#options.topic)));
  }

  /** The gateway has refused the credential of a request. Says whether it is the first: what was under way says the same. */
  noteRefusal(): boolean {
    const isFirst = !this.#isRefused;
    this.#isRefused = true;
    return isFirst;
  }

  /** Takes no more requests, and closes once the answers that are due have come. */
  leave(end: ConnectionEnd, detail: string): void {
    const state = this.#state;
    if (state.kind !== 'connecting' && state.kind !== 'open') return;
    if (state.kind === 'connecting') state.cancelTimer();
    this.#state = { kind: 'leaving', end, detail, byOurselves: true };
    this.#closeWhenEmpty();
  }

  /** Leaves a connection that does not do its work. */
  doubt(end: ConnectionEnd, detail: string): void {
    if (!this.isOpen) return;
    this.#state = { kind: 'leaving', end, detail, byOurselves: true };
    this.#events.doubted(end, detail);
    this.#closeWhenEmpty();
  }

  /** Closes at once; what is without an answer is uncertain. */
  destroy(end: ConnectionEnd): void {
    this.#close(end, 'destroyed');
  }

  /** What time brings: answers that are overdue, a PING, the end of an idle connection. */
  tick(hasWork: boolean): void {
    const { clock, streamTimeoutMs, pingTimeoutMs } = this.#options;
    if (!this.isOpen && this.state !== 'leaving') return;
    const now = clock.now();
    const stoodStill = now - this.#tickedAtMs >= stoodStillMs;
    this.#tickedAtMs = now;
    // Answers that came meanwhile have not been read yet: they are, before the next tick.
    if (stoodStill) return;
    this.#session.relax(now);
    this.#session.giveUp(now - streamTimeoutMs);
    this.#checkWork(now);
    if (this.#isClosed) return;
    if (this.#liveness.isLost(now)) {
      this.#close('ping-timeout', `a PING went unanswered for ${pingTimeoutMs} ms`);
      return;
    }
    if (this.#liveness.isPingDue(now)) {
      this.#liveness.pinged(now);
      this.#outlet.queue(this.#session.ping(now));
    }
    const isEmpty = this.inFlight === 0;
    if (isEmpty && this.#liveness.isIdle(now)) this.leave('idle', 'idle');
    // A gateway that takes nothing though nothing is under way will not take anything later either.
    this.#liveness.ticked(now, hasWork && isEmpty && this.isOpen && this.isSaturated);
    if (this.#liveness.isStalled(now)) {
      this.#close('write-stalled', `the gateway allowed no request for ${streamTimeoutMs} ms`);
      return;
    }
    this.#endTurn();
  }

  #send(chunk: Buffer, length: number): void {
    if (!this.#outlet.send(chunk, length)) return;
    this.#liveness.wrote(this.#options.clock.now());
    this.#endTurn();
  }

  /** The way is open: says what we are, and waits to hear what the gateway is. */
  #greet(isResumed: boolean): void {
    const state = this.#state;
    if (state.kind !== 'connecting') return;
    this.#state = { ...state, isReady: true };
    this.#isResumed = isResumed;
    this.#outlet.queue(encodeGreeting());
    this.#outlet.queue(this.#session.ping(this.#options.clock.now()));
    this.#outlet.flush();
    // Requests need not wait for the gateway's SETTINGS.
    if (this.#session.room > 0) this.#events.progressed();
  }

  /** The gateway's first SETTINGS have come. */
  #becomeOpen(): void {
    const state = this.#state;
    if (state.kind === 'connecting') {
      state.cancelTimer();
      this.#state = { kind: 'open' };
    }
    this.#openedAtMs = this.#options.clock.now();
    this.#events.opened(this);
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    const now = this.#options.clock.now();
    this.#liveness.read(now);
    try {
      this.#session.read(chunk, now, () => !this.#isClosed);
    } catch (error) {
      if (!(error instanceof Http2WireError)) throw error;
      this.#close('protocol-violation', error.message, error.goAwayCode);
      return;
    }
    this.#session.settleAccepted();
    this.#checkWork(now);
    this.#endTurn();
    // Also after the last answer: what it brought may be due to be sent again.
    this.#events.progressed();
  }

  #writeFailed(error: unknown): void {
    if (this.isOpen) {
      this.#state = {
        kind: 'leaving',
        end: 'write-error',
        detail: describeError(error),
        byOurselves: false,
      };
    }
    this.#cancelGrace ??= this.#options.clock.after(errorGraceMs, () =>
      this.#close('write-error', describeError(error)),
    );
  }

  #socketFailed(error: unknown): void {
    const isOpening = this.#state.kind === 'connecting' && !this.#state.isReady;
    this.#close(socketEndOf(error, isOpening), describeError(error));
  }

  /** Leaves the connection when it does not do its work. */
  #checkWork(nowMs: number): void {
    if (!this.isOpen) return;
    const trouble = this.#session.trouble(nowMs);
    if (trouble === 'gateway-errors') this.doubt(trouble, 'the gateway answers nothing but 5xx');
    else if (trouble === 'stream-stalled') this.doubt(trouble, 'the gateway does not answer');
  }

  #goAway(detail: string, isCredential: boolean): void {
    if (this.#state.kind === 'connecting') this.#close('goaway', detail);
    else if (this.#state.kind === 'open') {
      this.#state = { kind: 'leaving', end: 'goaway', detail, byOurselves: false };
    }
    if (isCredential) this.#events.credentialRefused(detail);
  }

  /** Sends what has gathered, and closes if that was the last there was to do. */
  #endTurn(): void {
    if (this.#isClosed) return;
    this.#session.continueRequest();
    this.#outlet.flush();
    this.#closeWhenEmpty();
  }

  #closeWhenEmpty(): void {
    const state = this.#state;
    if (state.kind === 'leaving' && this.inFlight === 0) this.#close(state.end, state.detail);
  }

  /** The one way into `closed`: hands back everything that is in the window, once. */
  #close(end: ConnectionEnd, detail: string, goAwayCode: number = Http2ErrorCode.noError): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind === 'connecting') state.cancelTimer();
    this.#cancelGrace?.();
    this.#session.settleAccepted();
    // A handshake that was refused has let no request through.
    if (state.kind === 'connecting' && end === 'credential-refused') this.#session.discardAll();
    this.#state = { kind: 'closed' };
    // A gateway that is gone is told nothing.
    if (politeEnds.has(end) && state.kind !== 'connecting') this.#outlet.end(encodeGoAway(0, goAwayCode));
    else this.#outlet.destroy();
    // Said first, it stays the reason: a gateway that says GOAWAY hangs up next.
    const reason = state.kind === 'leaving' && end === 'gateway-closed' ? state : { end, detail };
    const wasLeft = state.kind === 'leaving' && state.byOurselves && reason.end === state.end;
    this.#events.ended(this, {
      end: reason.end,
      detail: reason.detail,
      livedMs: this.#openedAtMs === undefined ? 0 : this.#options.clock.now() - this.#openedAtMs,
      uncertain: this.#session.end(),
      hasServed: this.#session.hasServed,
      wasLeft,
    });
  }
}
