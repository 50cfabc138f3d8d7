import type { SecureContext } from 'node:tls';
import {
  encodeGoAway,
  encodePing,
  encodeRstStream,
  Http2ErrorCode,
  Http2WireError,
  http2ErrorName,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import { ChunkPool } from '../socket/chunk-pool.ts';
import { describeError } from '../socket/node-error.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import { goAwayReason, type Verdict } from './answer-policy.ts';
import { type AnswerEvents, AnswerReader, encodeGreeting } from './answer-reader.ts';
import type { Backlog } from './backlog.ts';
import { type Http2ConnectionClosure, politeEnds, socketEndOf } from './closure.ts';
import { FrameOutlet } from './frame-outlet.ts';
import { Liveness } from './liveness.ts';
import type { ResolvedHttp2Options } from './options.ts';
import { Probe } from './probe.ts';
import { RequestWriter } from './request-writer.ts';
import { type StreamOutcomeEvents, StreamOutcomes, type StreamTrouble } from './stream-outcomes.ts';
import { type OpenStream, StreamTable } from './stream-table.ts';

// One connection of the HTTP/2 gateway and its in-flight window: the streams without an end.
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
// The connection never decides what becomes of what it hands back: the transport does.

/** What a connection tells its transport. `ended` comes exactly once, last. */
export interface Http2ConnectionEvents
  extends Pick<StreamOutcomeEvents, 'accepted' | 'unprocessed' | 'uncertain'> {
  /** Any answer but 200. */
  judged(connection: Http2Connection, stream: OpenStream, verdict: Verdict): void;
  /** What the gateway said to the probe; undefined: it was taken. */
  probed(connection: Http2Connection, stream: OpenStream, verdict: Verdict | undefined): void;
  opened(connection: Http2Connection): void;
  /** Something was read, or written: there may be room to write again. Comes after everything that it brought. */
  turned(): void;
  /** A GOAWAY named the credential as its reason. */
  refused(reason: string): void;
  /** It is being left because it does not do its work. */
  doubted(end: ConnectionEnd, reason: string): void;
  ended(connection: Http2Connection, closure: Http2ConnectionClosure): void;
}

export interface Http2ConnectionSetup {
  readonly id: string;
  readonly secureContext: SecureContext;
  readonly needsToken: boolean;
  /** The one before it left doubt. */
  readonly startsSmall: boolean;
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
/** Ticks come once a second at least: after so long without one, this process stood still, and not the gateway. */
const stoodStillMs = 5_000;
const pingBytes = Buffer.from('pushflee', 'latin1');

export class Http2Connection {
  readonly id: string;
  readonly streams = new StreamTable();

  readonly #options: ResolvedHttp2Options;
  readonly #events: Http2ConnectionEvents;
  readonly #outlet: FrameOutlet;
  readonly #writer: RequestWriter;
  readonly #reader: AnswerReader;
  readonly #outcomes: StreamOutcomes;
  readonly #liveness: Liveness;
  #state: State;
  #openedAtMs: number | undefined;
  /** No stream above it is processed: the gateway's GOAWAY. */
  #lastProcessedId = Number.POSITIVE_INFINITY;
  #peerStreams = Number.POSITIVE_INFINITY;
  #hasProbed = false;
  #tickedAtMs: number;
  #cancelGrace: (() => void) | undefined;

  constructor(options: ResolvedHttp2Options, setup: Http2ConnectionSetup, events: Http2ConnectionEvents) {
    const { clock, connectTimeoutMs, writeStallMs, serverName, port } = options;
    const { id, secureContext } = setup;
    this.id = id;
    this.#options = options;
    this.#events = events;
    const authority = port === 443 ? serverName : `${serverName}:${port}`;
    this.#writer = new RequestWriter(this.streams, authority, options.lastStreamId);
    const outcomeEvents: StreamOutcomeEvents = {
      accepted: (run, from, to) => events.accepted(run, from, to),
      judged: (stream, verdict) => events.judged(this, stream, verdict),
      probed: (stream, verdict) => events.probed(this, stream, verdict),
      unprocessed: (streams) => events.unprocessed(streams),
      uncertain: (spans, cause) => events.uncertain(spans, cause),
    };
    this.#outcomes = new StreamOutcomes(outcomeEvents, { ...options, ...setup });
    const readerEvents: AnswerEvents = {
      taken: (stream) => this.#outcomes.taken(stream),
      finished: (stream) => this.#finish(stream),
      reset: (stream, code) => this.#reset(stream, code),
      malformed: (stream, detail) => this.#malformed(stream, detail),
      setting: (name, value) => this.#setting(name, value),
      settingsEnd: () => this.#becomeOpen(),
      goAway: (lastStreamId, code, debug) => this.#goAway(lastStreamId, code, debug),
      windowUpdate: (streamId, increment) => this.#writer.widen(streamId, increment),
      reply: (frame) => this.#outlet.say(frame),
    };
    this.#reader = new AnswerReader(this.streams, readerEvents, clock.now());
    this.#liveness = new Liveness(options, clock.now());
    this.#tickedAtMs = clock.now();
    const cancelTimer = clock.after(connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${connectTimeoutMs} ms`),
    );
    this.#state = { kind: 'connecting', cancelTimer, isReady: false };
    const socket = options.openSocket(
      { ...options, secureContext },
      {
        ready: () => this.#greet(),
        received: (bytes) => this.#receive(bytes),
        writeFailed: (error) => this.#writeFailed(error),
        ended: () => this.#close('gateway-closed', 'the gateway closed the connection'),
        failed: (error) => this.#socketFailed(error),
      },
    );
    this.#outlet = new FrameOutlet(socket, {
      clock,
      writeStallMs,
      sent: () => this.#sent(),
      stalled: (detail) => this.#close('write-stalled', detail),
    });
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  /** Takes no more requests, for good. */
  get isLeaving(): boolean {
    return this.#state.kind === 'leaving';
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  /** Whether `write` may take something now. */
  get isWritable(): boolean {
    return this.isOpen && this.#outlet.hasRoom && !this.isSaturated;
  }

  /** Whether only answers of the gateway can make room. */
  get isSaturated(): boolean {
    return this.#room <= 0 || this.#writer.isStuck;
  }

  /** Whether the gateway has shown that it takes our token, and serves as many streams as we want. */
  get isTrusted(): boolean {
    return this.#outcomes.isTrusted;
  }

  get #room(): number {
    return Math.min(this.#outcomes.allowance, this.#peerStreams) - this.streams.size;
  }

  /** Writes requests from the front of the backlog until a chunk, the window or the backlog is used up. */
  write(backlog: Backlog, authorization: string | undefined): void {
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#send(chunk, this.#writer.fill(context, backlog, this.#room));
    if (this.#writer.isExhausted) this.leave('rotated', 'out of stream identifiers');
  }

  /**
   * Asks the gateway whether it takes our credential, with a request that can reach no device. Does nothing while the
   * gateway allows no stream: to be called again when it has moved.
   */
  probe(authorization: string | undefined): void {
    if (!this.isOpen || this.#hasProbed || this.#room <= 0) return;
    this.#hasProbed = true;
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#send(chunk, this.#writer.fillWith(context, new Probe(this.#options.topic)));
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
    if (!this.isOpen && !this.isLeaving) return;
    const now = clock.now();
    const stoodStill = now - this.#tickedAtMs >= stoodStillMs;
    this.#tickedAtMs = now;
    // Answers that came meanwhile have not been read yet: they are, before the next tick.
    if (stoodStill) return;
    this.#reader.relax(now);
    this.#giveUpStreams(now - streamTimeoutMs);
    this.#checkWork(now);
    if (this.isClosed) return;
    if (this.#liveness.isLost(now)) {
      this.#close('ping-timeout', `a PING went unanswered for ${pingTimeoutMs} ms`);
      return;
    }
    if (this.#liveness.takePing(now)) this.#outlet.say(encodePing(pingBytes));
    const isEmpty = this.streams.size === 0;
    if (isEmpty && this.#liveness.isIdle(now)) this.leave('idle', 'idle');
    // A gateway that takes nothing though nothing is under way will not take anything later either.
    this.#liveness.looked(now, hasWork && isEmpty && this.isOpen && this.isSaturated);
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

  #sent(): void {
    if (!this.isClosed) this.#events.turned();
  }

  /** The way is open: says what we are, and waits to hear what the gateway is. */
  #greet(): void {
    const state = this.#state;
    if (state.kind !== 'connecting') return;
    this.#state = { ...state, isReady: true };
    this.#outlet.say(encodeGreeting());
    this.#outlet.flush();
  }

  /** The gateway's first SETTINGS have come. */
  #becomeOpen(): void {
    if (this.#state.kind !== 'connecting') return;
    this.#state.cancelTimer();
    this.#state = { kind: 'open' };
    this.#openedAtMs = this.#options.clock.now();
    this.#events.opened(this);
  }

  #receive(chunk: Buffer): void {
    if (this.isClosed) return;
    const now = this.#options.clock.now();
    this.#liveness.read(now);
    this.#outcomes.reading(now);
    try {
      this.#reader.read(chunk, this.#writer.nextStreamId, () => !this.isClosed);
    } catch (error) {
      if (!(error instanceof Http2WireError)) throw error;
      this.#close('protocol-violation', error.message, error.goAwayCode);
      return;
    }
    this.#outcomes.tellAccepted();
    this.#checkWork(now);
    this.#endTurn();
    // Also after the last answer: what it brought may be due to be sent again.
    this.#events.turned();
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

  #finish(stream: OpenStream): void {
    this.streams.remove(stream);
    this.#writer.unstick();
    this.#outcomes.finished(stream);
    this.streams.release(stream);
  }

  #reset(stream: OpenStream, code: number): void {
    if (stream.status !== 0) {
      this.#finish(stream);
      return;
    }
    this.streams.remove(stream);
    this.#writer.unstick();
    const trouble = this.#outcomes.reset(stream, code, stream.id === this.#writer.unsentId);
    this.#heed(trouble, 'stream-reset', `the probe was reset: ${http2ErrorName(code)}`);
  }

  /** An answer that makes no sense ends its stream, and no other (RFC 9113 section 8.1.1). */
  #malformed(stream: OpenStream, detail: string): void {
    this.#outlet.say(encodeRstStream(stream.id, Http2ErrorCode.protocolError));
    this.#writer.forget(stream.id);
    this.streams.remove(stream);
    this.#writer.unstick();
    this.#heed(this.#outcomes.malformed(stream), 'stream-reset', `the answer to the probe: ${detail}`);
  }

  /** Leaves the connection when it does not do its work. */
  #checkWork(nowMs: number): void {
    if (!this.isOpen) return;
    const trouble = this.#outcomes.work.trouble(this.streams.oldestWriteMs, nowMs);
    if (trouble === 'gateway-errors') this.doubt(trouble, 'the gateway answers nothing but 5xx');
    else if (trouble === 'stream-stalled') this.doubt(trouble, 'the gateway does not answer');
  }

  /** Streams that wait for an answer since before that time are given up, on both sides. */
  #giveUpStreams(writtenBeforeMs: number): void {
    const overdue = this.streams.takeWrittenBefore(writtenBeforeMs);
    if (overdue.length === 0) return;
    const { unsentId } = this.#writer;
    for (const { id } of overdue) {
      this.#outlet.say(encodeRstStream(id, Http2ErrorCode.cancel));
      this.#writer.forget(id);
    }
    this.#writer.unstick();
    this.#heed(this.#outcomes.overdue(overdue, unsentId), 'stream-stalled', 'the probe went unanswered');
  }

  #heed(trouble: StreamTrouble, end: ConnectionEnd, probeDetail: string): void {
    if (trouble === 'probe-lost') this.#close(end, probeDetail);
    else if (trouble === 'refuses-all') this.doubt(end, 'every stream was refused');
  }

  #setting(id: number, value: number): void {
    if (id === SettingId.maxConcurrentStreams) this.#peerStreams = value;
    else if (id === SettingId.initialWindowSize) this.#writer.setStreamWindow(value);
    this.#writer.unstick();
  }

  #goAway(lastStreamId: number, code: number, debug: string): void {
    const said = goAwayReason(debug);
    const detail = said?.reason ?? http2ErrorName(code);
    // A second GOAWAY may only lower it (RFC 9113 section 6.8).
    this.#lastProcessedId = Math.min(this.#lastProcessedId, lastStreamId);
    this.#outcomes.discarded(this.streams.takeAbove(this.#lastProcessedId));
    if (this.#state.kind === 'connecting') this.#close('goaway', detail);
    else if (this.#state.kind === 'open') {
      this.#state = { kind: 'leaving', end: 'goaway', detail, byOurselves: false };
    }
    if (said?.isCredential === true) this.#events.refused(detail);
  }

  /** Sends what has gathered, and closes if that was the last there was to do. */
  #endTurn(): void {
    if (this.isClosed) return;
    const abandoned = this.#writer.takeAbandoned();
    if (abandoned !== undefined) this.#outlet.say(encodeRstStream(abandoned, Http2ErrorCode.cancel));
    for (const data of this.#writer.continuePartial()) this.#outlet.say(data);
    this.#outlet.flush();
    this.#closeWhenEmpty();
  }

  #closeWhenEmpty(): void {
    const state = this.#state;
    if (state.kind === 'leaving' && this.streams.size === 0) this.#close(state.end, state.detail);
  }

  /** The one way into `closed`: hands back everything that is in the window, once. */
  #close(end: ConnectionEnd, detail: string, goAwayCode: number = Http2ErrorCode.noError): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind === 'connecting') state.cancelTimer();
    this.#cancelGrace?.();
    this.#outcomes.tellAccepted();
    this.#state = { kind: 'closed' };
    // Unless nobody is there to hear it.
    if (politeEnds.has(end) && state.kind !== 'connecting') this.#outlet.end(encodeGoAway(0, goAwayCode));
    else this.#outlet.destroy();
    // Said first, it stays the reason: a gateway that says GOAWAY hangs up next.
    const reason = state.kind === 'leaving' && end === 'gateway-closed' ? state : { end, detail };
    const wasLeft = state.kind === 'leaving' && state.byOurselves && reason.end === state.end;
    this.#events.ended(this, {
      end: reason.end,
      detail: reason.detail,
      livedMs: this.#openedAtMs === undefined ? 0 : this.#options.clock.now() - this.#openedAtMs,
      uncertain: this.#outcomes.abandoned(this.streams.takeAbove(0), this.#writer.unsentId),
      hasServed: this.#outcomes.hasServed,
      wasLeft,
    });
  }
}
