import type { SecureContext } from 'node:tls';
import {
  defaultWindow,
  encodeGoAway,
  encodePing,
  encodePreface,
  encodeRstStream,
  encodeWindowUpdate,
  Http2ErrorCode,
  Http2WireError,
  http2ErrorName,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import { ChunkPool } from '../binary/chunk-pool.ts';
import { connectionEndOf, describeError } from '../node-error.ts';
import type { ConnectionEnd, NotificationRun } from '../transport.ts';
import { goAwayReason, judgeAnswer, type Verdict } from './answer-policy.ts';
import { AnswerReader, receiveWindow } from './answer-reader.ts';
import type { Backlog, RunSpan } from './backlog.ts';
import type { Http2Socket } from './http2-socket.ts';
import type { ResolvedHttp2Options } from './http2-transport-options.ts';
import { TunnelError } from './open-socket.ts';
import { createProbe, isProbe } from './probe.ts';
import { RequestWriter } from './request-writer.ts';
import { type OpenStream, StreamTable, spansOf } from './stream-table.ts';

// One connection of the HTTP/2 gateway and its in-flight window: the streams without an end.
//
//   connecting ──▶ open ──▶ leaving ──▶ closed
//        └───────────┴──────────────────▲
//
// - connecting: TCP, the proxy's tunnel, TLS, and the gateway's SETTINGS, which say how many streams it takes.
// - open: requests are written, answers come in any order.
// - leaving: no more requests; the answers that are due are waited for. By GOAWAY, or because we want to.
// - closed: everything in the window has been handed back, exactly once.
//
// The connection never decides what becomes of what it hands back: the transport does.

/** What a connection tells its transport. `ended` comes exactly once, last. */
export interface Http2ConnectionEvents {
  opened(connection: Http2Connection): void;
  /** Something was read, or written: there may be room to write again. Comes after everything that it brought. */
  turned(): void;
  /** 200: taken by the gateway, proved. */
  accepted(run: NotificationRun, from: number, to: number): void;
  /** Any other answer. */
  judged(connection: Http2Connection, stream: OpenStream, verdict: Verdict): void;
  /** A GOAWAY named the credential as its reason. */
  refused(reason: string): void;
  /** What the gateway said to the probe; undefined: it was taken. */
  probed(connection: Http2Connection, stream: OpenStream, verdict: Verdict | undefined): void;
  /** Never processed by the gateway: to be sent again. In order. */
  unprocessed(streams: readonly OpenStream[]): void;
  /** Nobody can know. */
  uncertain(spans: readonly RunSpan[], cause: ConnectionEnd): void;
  ended(connection: Http2Connection, closure: Http2ConnectionClosure): void;
}

export interface Http2ConnectionClosure {
  readonly end: ConnectionEnd;
  readonly detail: string;
  /** Nobody can know. In the order of writing. */
  readonly uncertain: readonly RunSpan[];
  /** Whether the gateway ever answered a request on it. */
  readonly answered: boolean;
}

export interface Http2ConnectionSetup {
  readonly id: string;
  readonly secureContext: SecureContext;
  readonly needsToken: boolean;
}

type State =
  | { readonly kind: 'connecting'; readonly cancelTimer: () => void; readonly isReady: boolean }
  | { readonly kind: 'open' }
  | { readonly kind: 'leaving'; readonly end: ConnectionEnd; readonly detail: string }
  | { readonly kind: 'closed' };

/** Chunks under way at a time: one in the kernel's hands, one behind it, so that the socket never runs dry. */
const chunksUnderWay = 2;
/** How long to go on reading answers after a write has failed. */
const errorGraceMs = 1_000;
/** What may wait in the socket: two chunks, and answers to PING and SETTINGS that the gateway does not read. */
const mostWaitingBytes = 1024 * 1024 + 2 * 128 * 1024;
const pingBytes = Buffer.from('pushflee', 'latin1');

export class Http2Connection {
  readonly id: string;
  readonly streams = new StreamTable();

  readonly #options: ResolvedHttp2Options;
  readonly #events: Http2ConnectionEvents;
  readonly #socket: Http2Socket;
  readonly #writer: RequestWriter;
  readonly #reader: AnswerReader;
  #state: State;
  /** No stream above it is processed: the gateway's GOAWAY. */
  #lastProcessedId = Number.POSITIVE_INFINITY;
  #peerStreams = Number.POSITIVE_INFINITY;
  #isTrusted: boolean;
  #answered = false;
  #refusedInARow = 0;
  #underWay = 0;
  /** Frames of ours that go out at the end of the turn. */
  #controls: Buffer[] = [];
  /** Accepted, and not yet told: a range, since answers mostly come in order. */
  #ok: { readonly run: NotificationRun; readonly from: number; to: number } | undefined;
  #cancelStall: (() => void) | undefined;
  #cancelGrace: (() => void) | undefined;
  #lastWriteMs: number;
  #lastReadMs: number;
  #pingSentMs: number | undefined;
  #stuckSinceMs: number | undefined;

  constructor(options: ResolvedHttp2Options, setup: Http2ConnectionSetup, events: Http2ConnectionEvents) {
    const { clock, connectTimeoutMs, serverName, port } = options;
    this.id = setup.id;
    this.#options = options;
    this.#events = events;
    this.#isTrusted = !setup.needsToken;
    const authority = port === 443 ? serverName : `${serverName}:${port}`;
    this.#writer = new RequestWriter(this.streams, authority, options.lastStreamId);
    this.#reader = new AnswerReader(this.streams, {
      taken: (stream) => this.#taken(stream),
      finished: (stream) => this.#finish(stream),
      reset: (stream, code) => this.#reset(stream, code),
      setting: (id, value) => this.#setting(id, value),
      settingsEnd: () => this.#becomeOpen(),
      goAway: (lastStreamId, code, debug) => this.#goAway(lastStreamId, code, debug),
      windowUpdate: (streamId, increment) => this.#writer.widen(streamId, increment),
      reply: (frame) => this.#controls.push(frame),
    });
    this.#lastWriteMs = clock.now();
    this.#lastReadMs = this.#lastWriteMs;
    const cancelTimer = clock.after(connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${connectTimeoutMs} ms`),
    );
    this.#state = { kind: 'connecting', cancelTimer, isReady: false };
    this.#socket = options.openSocket(
      { ...options, secureContext: setup.secureContext },
      {
        ready: () => this.#greet(),
        received: (bytes) => this.#receive(bytes),
        writeFailed: (error) => this.#writeFailed(error),
        ended: () => this.#close('gateway-closed', 'the gateway closed the connection'),
        failed: (error) => this.#close(this.#endOf(error), describeError(error)),
      },
    );
  }

  get isConnecting(): boolean {
    return this.#state.kind === 'connecting';
  }

  get isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open';
  }

  /** Takes no more requests, for good. */
  get isLeaving(): boolean {
    return this.#state.kind === 'leaving';
  }

  /** Whether `write` may take something now. */
  get isWritable(): boolean {
    return this.isOpen && this.#underWay < chunksUnderWay && !this.isSaturated;
  }

  /** Whether only answers of the gateway can make room. */
  get isSaturated(): boolean {
    return this.#room <= 0 || this.#writer.isStuck;
  }

  /** Whether the gateway has shown that it takes our token: before, it takes one stream (PROTOCOL section 4). */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  get #room(): number {
    const ours = this.#isTrusted ? this.#options.streams : 1;
    return Math.min(ours, this.#peerStreams) - this.streams.size;
  }

  /** Writes requests from the front of the backlog until a chunk, the window or the backlog is used up. */
  write(backlog: Backlog, authorization: string | undefined): void {
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#flush(chunk, this.#writer.fill(context, backlog, this.#room));
    if (this.#writer.isExhausted) this.leave('rotated', 'out of stream identifiers');
  }

  /** Asks the gateway whether it takes our credential, with a request that can reach no device. */
  probe(authorization: string | undefined): void {
    if (!this.isOpen || this.#room <= 0) return;
    const chunk = ChunkPool.take();
    const context = { chunk, authorization, nowMs: this.#options.clock.now() };
    this.#flush(chunk, this.#writer.fillWith(context, createProbe(), this.#options.topic));
  }

  /** Takes no more requests, and closes once the answers that are due have come. */
  leave(end: ConnectionEnd, detail: string): void {
    if (this.#state.kind === 'connecting') this.#close(end, detail);
    if (this.#state.kind !== 'open') return;
    this.#state = { kind: 'leaving', end, detail };
    this.#closeWhenEmpty();
  }

  /** Closes at once; what is without an answer is uncertain. */
  destroy(end: ConnectionEnd): void {
    this.#close(end, 'destroyed');
  }

  /** What time brings: answers that are overdue, a PING, the end of an idle connection. */
  tick(hasWork: boolean): void {
    const { clock, streamTimeoutMs, pingAfterMs, pingTimeoutMs, idleTimeoutMs } = this.#options;
    if (!this.isOpen && !this.isLeaving) return;
    const now = clock.now();
    this.#reader.relax();
    this.#giveUpStreams(now - streamTimeoutMs);
    if (this.isClosed) return;
    if (this.#pingSentMs !== undefined && now - this.#pingSentMs >= pingTimeoutMs) {
      this.#close('ping-timeout', `a PING went unanswered for ${pingTimeoutMs} ms`);
      return;
    }
    if (this.#pingSentMs === undefined && now - this.#lastReadMs >= pingAfterMs) {
      this.#pingSentMs = now;
      this.#controls.push(encodePing(pingBytes));
    }
    const isIdle = this.streams.size === 0;
    if (isIdle && now - this.#lastWriteMs >= idleTimeoutMs) this.leave('idle', 'idle');
    // A gateway that takes nothing though nothing is under way will not take anything later either.
    const isStuck = hasWork && isIdle && this.isOpen && this.isSaturated;
    this.#stuckSinceMs = isStuck ? (this.#stuckSinceMs ?? now) : undefined;
    if (this.#stuckSinceMs !== undefined && now - this.#stuckSinceMs >= streamTimeoutMs) {
      this.#close('write-stalled', `the gateway allowed no request for ${streamTimeoutMs} ms`);
      return;
    }
    this.#endTurn();
  }

  #flush(chunk: Buffer, length: number): void {
    if (length === 0) {
      ChunkPool.give(chunk);
      return;
    }
    const { clock, writeStallMs } = this.#options;
    const stalled = (): void => this.#close('write-stalled', `no write finished for ${writeStallMs} ms`);
    this.#underWay++;
    this.#lastWriteMs = clock.now();
    this.#cancelStall ??= clock.after(writeStallMs, stalled);
    this.#socket.write(chunk, length, () => {
      this.#underWay--;
      if (this.isClosed) return;
      this.#cancelStall?.();
      this.#cancelStall = this.#underWay === 0 ? undefined : clock.after(writeStallMs, stalled);
      this.#events.turned();
    });
    this.#endTurn();
  }

  /** The way is open: says what we are, and waits to hear what the gateway is. */
  #greet(): void {
    const state = this.#state;
    if (state.kind !== 'connecting') return;
    this.#state = { ...state, isReady: true };
    const settings = encodePreface([
      [SettingId.enablePush, 0],
      [SettingId.maxConcurrentStreams, 0],
      [SettingId.maxHeaderListSize, 65_536],
    ]);
    this.#socket.control(Buffer.concat([settings, encodeWindowUpdate(0, receiveWindow - defaultWindow)]));
  }

  #receive(chunk: Buffer): void {
    if (this.isClosed) return;
    this.#lastReadMs = this.#options.clock.now();
    this.#pingSentMs = undefined;
    try {
      this.#reader.read(chunk, this.#writer.nextStreamId, () => !this.isClosed);
    } catch (error) {
      if (!(error instanceof Http2WireError)) throw error;
      this.#close('protocol-violation', error.message, error.goAwayCode);
      return;
    }
    this.#tellAccepted();
    this.#endTurn();
    // Also after the last answer: what it brought may be due to be sent again.
    this.#events.turned();
  }

  #writeFailed(error: unknown): void {
    if (this.isOpen) this.#state = { kind: 'leaving', end: 'write-error', detail: describeError(error) };
    this.#cancelGrace ??= this.#options.clock.after(errorGraceMs, () =>
      this.#close('write-error', describeError(error)),
    );
  }

  #reset(stream: OpenStream, code: number): void {
    if (stream.status !== 0) {
      this.#finish(stream);
      return;
    }
    this.streams.remove(stream);
    this.#writer.unstick();
    if (isProbe(stream.run)) {
      this.#close('stream-reset', `the probe was reset: ${http2ErrorName(code)}`);
    } else if (code !== Http2ErrorCode.refusedStream) {
      this.#events.uncertain(spansOf([stream]), 'stream-reset');
    } else {
      // Safe to send again (RFC 9113 section 8.7); but one that refuses all is left alone for a while.
      this.#events.unprocessed([stream]);
      if (++this.#refusedInARow > 2 * this.#options.streams)
        this.leave('stream-reset', 'every stream was refused');
    }
  }

  #setting(id: number, value: number): void {
    if (id === SettingId.maxConcurrentStreams) this.#peerStreams = value;
    else if (id === SettingId.initialWindowSize) this.#writer.setStreamWindow(value);
    this.#writer.unstick();
  }

  /** The gateway's first SETTINGS have come. */
  #becomeOpen(): void {
    if (this.#state.kind !== 'connecting') return;
    this.#state.cancelTimer();
    this.#state = { kind: 'open' };
    this.#events.opened(this);
  }

  #goAway(lastStreamId: number, code: number, debug: string): void {
    const said = goAwayReason(debug);
    const detail = said?.reason ?? http2ErrorName(code);
    // A second GOAWAY may only lower it (RFC 9113 section 6.8).
    this.#lastProcessedId = Math.min(this.#lastProcessedId, lastStreamId);
    const above = this.streams.takeAbove(this.#lastProcessedId);
    const unprocessed = above.filter(({ status, run }) => status === 0 && !isProbe(run));
    if (unprocessed.length > 0) this.#events.unprocessed(unprocessed);
    this.#judgeUnfinished(above);
    if (this.#state.kind === 'connecting') this.#close('goaway', detail);
    else if (this.#state.kind === 'open') this.#state = { kind: 'leaving', end: 'goaway', detail };
    if (said?.isCredential === true) this.#events.refused(detail);
  }

  #taken({ run, position }: OpenStream): void {
    this.#answered = true;
    this.#isTrusted = true;
    this.#refusedInARow = 0;
    if (this.#ok?.run === run && this.#ok.to === position) {
      this.#ok.to++;
      return;
    }
    this.#tellAccepted();
    this.#ok = { run, from: position, to: position + 1 };
  }

  #tellAccepted(): void {
    const ok = this.#ok;
    if (ok === undefined) return;
    this.#ok = undefined;
    if (!isProbe(ok.run)) this.#events.accepted(ok.run, ok.from, ok.to);
  }

  /** The stream is over, and its answer is as complete as it will be. */
  #finish(stream: OpenStream): void {
    this.streams.remove(stream);
    this.#writer.unstick();
    if (stream.status !== 200) this.#judge(stream);
    else if (isProbe(stream.run)) this.#events.probed(this, stream, undefined);
    this.streams.release(stream);
  }

  #judge(stream: OpenStream): void {
    const verdict = judgeAnswer(stream, this.#options.clock.now());
    this.#answered = true;
    this.#refusedInARow = 0;
    if (!isAboutCredential(verdict)) this.#isTrusted = true;
    if (isProbe(stream.run)) this.#events.probed(this, stream, verdict);
    else this.#events.judged(this, stream, verdict);
  }

  /** Answers whose head has come and whose body will not. */
  #judgeUnfinished(streams: readonly OpenStream[]): void {
    for (const stream of streams) if (stream.status !== 0 && stream.status !== 200) this.#judge(stream);
  }

  /** Streams that wait for an answer since before that time: nobody can know what became of them. */
  #giveUpStreams(writtenBeforeMs: number): void {
    const given: OpenStream[] = [];
    for (let stream = this.streams.oldest; stream !== undefined; stream = this.streams.oldest) {
      if (stream.writtenAtMs > writtenBeforeMs) break;
      this.streams.remove(stream);
      this.#controls.push(encodeRstStream(stream.id, Http2ErrorCode.cancel));
      given.push(stream);
    }
    if (given.length === 0) return;
    this.#writer.unstick();
    this.#judgeUnfinished(given);
    const silent = given.filter(({ status }) => status === 0);
    if (silent.some(({ run }) => isProbe(run))) this.#close('stream-stalled', 'the probe went unanswered');
    else if (silent.length > 0) this.#events.uncertain(spansOf(silent), 'stream-stalled');
  }

  /** Sends what has gathered, and closes if that was the last there was to do. */
  #endTurn(): void {
    if (this.isClosed) return;
    const abandoned = this.#writer.takeAbandoned();
    if (abandoned !== undefined) this.#controls.push(encodeRstStream(abandoned, Http2ErrorCode.cancel));
    this.#controls.push(...this.#writer.continuePartial());
    if (this.#controls.length > 0) {
      this.#socket.control(Buffer.concat(this.#controls));
      this.#controls = [];
      if (this.#socket.waitingBytes > mostWaitingBytes) {
        this.#close('write-stalled', 'the gateway does not read what it asks for');
        return;
      }
    }
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
    this.#cancelStall?.();
    this.#cancelGrace?.();
    this.#tellAccepted();
    this.#state = { kind: 'closed' };
    // A session is closed explicitly (PROTOCOL section 4), unless nobody is there to hear it.
    if (politeEnds.has(end) && state.kind !== 'connecting') this.#socket.end(encodeGoAway(0, goAwayCode));
    else this.#socket.destroy();
    const left = this.streams.takeAbove(0);
    this.#judgeUnfinished(left);
    const unanswered = left.filter(({ status, run }) => status === 0 && !isProbe(run));
    // Said first, it stays the reason: a gateway that says GOAWAY hangs up next.
    const [finalEnd, finalDetail] =
      state.kind === 'leaving' && end === 'gateway-closed' ? [state.end, state.detail] : [end, detail];
    this.#events.ended(this, {
      end: finalEnd,
      detail: finalDetail,
      uncertain: spansOf(unanswered),
      answered: this.#answered,
    });
  }

  /** What an error of the socket means; before the way was open, that it could not be opened. */
  #endOf(error: unknown): ConnectionEnd {
    if (error instanceof TunnelError) return error.code === 'proxy-refused' ? 'connect-failed' : 'tls-failed';
    const end = connectionEndOf(error);
    const isOpening = this.#state.kind === 'connecting' && !this.#state.isReady;
    return isOpening && end !== 'tls-failed' && end !== 'credential-refused' ? 'connect-failed' : end;
  }
}

const politeEnds: ReadonlySet<ConnectionEnd> = new Set([
  'drained',
  'rotated',
  'idle',
  'goaway',
  'error-response',
  'protocol-violation',
]);

function isAboutCredential({ action }: Verdict): boolean {
  return action === 'pause' || action === 'sign-anew' || action === 'reconnect' || action === 'keep-token';
}
