import type { SecureContext, TLSSocket } from 'node:tls';
import { ApnsWireError } from '@pushfleet/apns-wire';
import {
  defaultWindow,
  encodeGoAway,
  encodePing,
  encodePreface,
  encodeRstStream,
  encodeSettingsAck,
  encodeWindowUpdate,
  FrameFlag,
  FrameType,
  HpackDecoder,
  Http2ErrorCode,
  Http2FrameReader,
  Http2WireError,
  http2ErrorName,
  maxWindow,
  RequestEncoder,
  ResponseHead,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import { ChunkPool } from '../binary/chunk-pool.ts';
import { connectionEndOf, describeError } from '../node-error.ts';
import type { ConnectionEnd, NotificationRun } from '../transport.ts';
import { goAwayReason, judgeAnswer, type Verdict } from './answer-policy.ts';
import type { Backlog, RunSpan } from './backlog.ts';
import type { ResolvedHttp2Options } from './http2-transport-options.ts';
import { openSocket, TunnelError } from './open-socket.ts';
import { PartialRequest } from './partial-request.ts';
import { createProbe, isProbe } from './probe.ts';
import { RunHeaders } from './run-headers.ts';
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
  turned(connection: Http2Connection): void;
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

type State =
  | { readonly kind: 'connecting'; readonly cancelTimer: () => void; readonly cancelSocket: () => void }
  | { readonly kind: 'open' }
  | { readonly kind: 'leaving'; readonly end: ConnectionEnd; readonly detail: string }
  | { readonly kind: 'closed' };

/** Chunks under way at a time: one in the kernel's hands, one behind it, so that the socket never runs dry. */
const chunksUnderWay = 2;
/** Answers without bodies never need more; bodies are short. */
const receiveWindow = 8 * 1024 * 1024;
/** As much of an answer's body as can mean something. */
const longestBody = 4_096;
/** How long to go on reading answers after a write has failed. */
const errorGraceMs = 1_000;
/** Answers to PING and SETTINGS that the gateway does not read. */
const longestControlBacklog = 1024 * 1024;

export interface Http2ConnectionSetup {
  readonly id: string;
  readonly secureContext: SecureContext;
  readonly needsToken: boolean;
}

export class Http2Connection {
  readonly id: string;
  readonly streams = new StreamTable();

  readonly #options: ResolvedHttp2Options;
  readonly #events: Http2ConnectionEvents;
  readonly #encoder: RequestEncoder;
  readonly #reader = new Http2FrameReader();
  readonly #hpack = new HpackDecoder();
  readonly #head = new ResponseHead();
  #socket: TLSSocket | undefined;
  #state: State;
  #nextStreamId = 1;
  /** No stream above it is processed: the gateway's GOAWAY. */
  #lastProcessedId = Number.POSITIVE_INFINITY;
  #peerStreams = Number.POSITIVE_INFINITY;
  /** Flow control, ours to spend: of the connection, and of a stream when it opens. */
  #sendWindow = defaultWindow;
  #streamWindow = defaultWindow;
  /** Flow control, the gateway's to spend. */
  #receiveWindow = receiveWindow;
  #partial: PartialRequest | undefined;
  /** The last write got nowhere, for want of a window. */
  #isBlocked = false;
  #underWay = 0;
  #isTrusted: boolean;
  #answered = false;
  #refusedInARow = 0;
  #controls: Buffer[] = [];
  #okRun: NotificationRun | undefined;
  #okFrom = 0;
  #okTo = 0;
  #cancelStall: (() => void) | undefined;
  #cancelGrace: (() => void) | undefined;
  #lastWriteMs: number;
  #lastReadMs: number;
  #pingSentMs: number | undefined;
  #blockedSinceMs: number | undefined;

  constructor(options: ResolvedHttp2Options, setup: Http2ConnectionSetup, events: Http2ConnectionEvents) {
    this.id = setup.id;
    this.#options = options;
    this.#events = events;
    this.#isTrusted = !setup.needsToken;
    this.#encoder = new RequestEncoder(
      options.port === 443 ? options.serverName : `${options.serverName}:${options.port}`,
    );
    this.#lastWriteMs = options.clock.now();
    this.#lastReadMs = this.#lastWriteMs;
    const cancelTimer = options.clock.after(options.connectTimeoutMs, () =>
      this.#close('connect-failed', `no connection within ${options.connectTimeoutMs} ms`),
    );
    const { cancel } = openSocket(
      { ...options, secureContext: setup.secureContext },
      {
        ready: (socket) => this.#greet(socket),
        failed: (error) => this.#close(connectFailureOf(error), describeError(error)),
      },
    );
    this.#state = { kind: 'connecting', cancelTimer, cancelSocket: cancel };
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
    return this.#room <= 0 || this.#isBlocked || this.#partial !== undefined;
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
    let length = 0;
    let span = backlog.take(0);
    while (span !== undefined) {
      const { run, from } = span;
      const to = Math.min(span.to, from + this.#roomNow());
      if (to <= from) break;
      const headers = backlog.headersOf(run);
      headers.authorization = authorization;
      const isSendable = this.#encode(chunk, length, run, headers, from, to);
      const { position, end } = this.#encoder;
      this.#enter(run, from, position, authorization);
      length = end;
      span = backlog.take(position - from);
      if (!isSendable) {
        backlog.refuseFirst();
        span = backlog.take(0);
      } else if (position < to) {
        const begun = this.#beginPartial(chunk, length, run, headers, position, authorization);
        if (begun > 0) {
          length = begun;
          backlog.take(1);
        }
        break;
      }
    }
    if (length === 0) {
      ChunkPool.give(chunk);
      // Nothing was written: the peer has to move first, or the backlog is empty.
      this.#isBlocked = span !== undefined;
    } else this.#flush(chunk, length);
    this.#leaveWhenExhausted();
  }

  /** Asks the gateway whether it takes our credential, with a request that can reach no device. */
  probe(authorization: string | undefined): void {
    if (!this.isOpen || this.#room <= 0) return;
    const run = createProbe();
    const headers = new RunHeaders(run, this.#options.topic);
    headers.authorization = authorization;
    const chunk = ChunkPool.take();
    this.#encode(chunk, 0, run, headers, 0, 1);
    this.#enter(run, 0, 1, authorization);
    this.#flush(chunk, this.#encoder.end);
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
    if (this.#state.kind !== 'open' && this.#state.kind !== 'leaving') return;
    const now = clock.now();
    this.#reader.forgiveIdleFrames();
    this.#giveUpStreams(now - streamTimeoutMs);
    if (this.isClosed) return;
    if (this.#pingSentMs !== undefined && now - this.#pingSentMs >= pingTimeoutMs) {
      this.#close('ping-timeout', `a PING went unanswered for ${pingTimeoutMs} ms`);
      return;
    }
    if (this.#pingSentMs === undefined && now - this.#lastReadMs >= pingAfterMs) {
      this.#pingSentMs = now;
      this.#control(encodePing(pingBytes));
    }
    const isIdle = this.streams.size === 0;
    if (isIdle && now - this.#lastWriteMs >= idleTimeoutMs) this.leave('idle', 'idle');
    // A gateway that takes nothing though nothing is under way will not take anything later either.
    const isStuck = hasWork && isIdle && this.isOpen && this.isSaturated;
    if (!isStuck) this.#blockedSinceMs = undefined;
    else this.#blockedSinceMs ??= now;
    if (this.#blockedSinceMs !== undefined && now - this.#blockedSinceMs >= streamTimeoutMs) {
      this.#close('write-stalled', `the gateway allowed no request for ${streamTimeoutMs} ms`);
      return;
    }
    this.#flushControls();
    this.#closeWhenEmpty();
  }

  #roomNow(): number {
    const left = (this.#options.lastStreamId - this.#nextStreamId) / 2 + 1;
    return Math.min(this.#room, Math.floor(left));
  }

  /** Whether all could be written, but for want of room; false: the one at `encoder.position` cannot be. */
  #encode(
    chunk: Buffer,
    length: number,
    run: NotificationRun,
    headers: RunHeaders,
    from: number,
    to: number,
  ): boolean {
    const encoder = this.#encoder;
    try {
      encoder.encode(
        chunk,
        length,
        run.columns,
        headers,
        from,
        to,
        this.#nextStreamId,
        this.#sendWindow,
        this.#streamWindow,
      );
      return true;
    } catch (error) {
      if (error instanceof ApnsWireError) return false;
      throw error;
    } finally {
      this.#sendWindow = encoder.window;
    }
  }

  /** Into the window, before anything is written. */
  #enter(run: NotificationRun, from: number, to: number, authorization: string | undefined): void {
    const now = this.#options.clock.now();
    for (let position = from; position < to; position++) {
      this.streams.add(this.#nextStreamId, run, position, authorization, now);
      this.#nextStreamId += 2;
    }
  }

  /**
   * Begins a request whose payload the windows have no room for at once; gives the new length of the chunk, or 0.
   * Only where waiting would not help: the window of a stream is too small, or nothing is under way.
   */
  #beginPartial(
    chunk: Buffer,
    length: number,
    run: NotificationRun,
    headers: RunHeaders,
    position: number,
    authorization: string | undefined,
  ): number {
    const { columns } = run;
    const payload = columns.payloadOf[position]!;
    const start = columns.payloadOffsets[payload]!;
    const end = columns.payloadOffsets[payload + 1]!;
    const fitsStream = end - start <= this.#streamWindow;
    const fitsConnection = end - start <= this.#sendWindow;
    if (fitsStream && (fitsConnection || this.streams.size > 0)) return 0;
    const at = this.#encoder.encodeHeaders(chunk, length, columns, headers, position, this.#nextStreamId);
    if (at < 0) return 0;
    this.#partial = new PartialRequest(this.#nextStreamId, columns.payloads, start, end, this.#streamWindow);
    this.#enter(run, position, position + 1, authorization);
    return at;
  }

  /** Writes as much of the request under way as the windows allow. */
  #continuePartial(): void {
    const partial = this.#partial;
    if (partial === undefined || this.#state.kind === 'closed') return;
    if (this.streams.get(partial.streamId) === undefined) {
      // Answered, or reset, before it was complete: our side of the stream has to end too.
      this.#control(encodeRstStream(partial.streamId, Http2ErrorCode.cancel));
      this.#partial = undefined;
      return;
    }
    for (
      let data = partial.next(this.#sendWindow);
      data !== undefined;
      data = partial.next(this.#sendWindow)
    ) {
      this.#sendWindow -= data.spent;
      this.#control(data.frame);
      if (partial.isDone) {
        this.#partial = undefined;
        return;
      }
    }
  }

  #flush(chunk: Buffer, length: number): void {
    const { clock, writeStallMs } = this.#options;
    const stalled = (): void => this.#close('write-stalled', `no write finished for ${writeStallMs} ms`);
    this.#underWay++;
    this.#lastWriteMs = clock.now();
    this.#cancelStall ??= clock.after(writeStallMs, stalled);
    this.#socket!.write(length === chunk.length ? chunk : chunk.subarray(0, length), (error) => {
      ChunkPool.give(chunk);
      this.#underWay--;
      if (error != null || this.#state.kind === 'closed') return;
      this.#cancelStall?.();
      this.#cancelStall = this.#underWay === 0 ? undefined : clock.after(writeStallMs, stalled);
      this.#events.turned(this);
    });
    this.#continuePartial();
    this.#flushControls();
  }

  #leaveWhenExhausted(): void {
    if (this.#nextStreamId > this.#options.lastStreamId) this.leave('rotated', 'out of stream identifiers');
  }

  /** TLS is up: says what we are, and waits to hear what the gateway is. */
  #greet(socket: TLSSocket): void {
    this.#socket = socket;
    this.#keepReadingAfterWriteErrors(socket);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#close('gateway-closed', 'the gateway closed the connection'));
    socket.on('error', (error) => this.#close(connectionEndOf(error), describeError(error)));
    socket.on('close', () => this.#close('gateway-closed', 'closed'));
    socket.write(
      Buffer.concat([
        encodePreface([
          [SettingId.enablePush, 0],
          [SettingId.maxConcurrentStreams, 0],
          [SettingId.maxHeaderListSize, 65_536],
        ]),
        encodeWindowUpdate(0, receiveWindow - defaultWindow),
      ]),
    );
  }

  /**
   * Node destroys a socket when a write on it fails, and with it the answers that the gateway sent before it hung up.
   * This intercepts that one case, and goes on reading until the end, or a short deadline.
   */
  #keepReadingAfterWriteErrors(socket: TLSSocket): void {
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error?: Error) => {
      const isWrite = error !== undefined && (error as NodeJS.ErrnoException).syscall === 'write';
      if (!isWrite || this.isClosed) return destroy(error);
      if (this.isOpen) this.#state = { kind: 'leaving', end: 'write-error', detail: describeError(error) };
      this.#cancelGrace ??= this.#options.clock.after(errorGraceMs, () =>
        this.#close('write-error', describeError(error)),
      );
      return socket;
    };
  }

  #receive(chunk: Buffer): void {
    if (this.#state.kind === 'closed') return;
    this.#lastReadMs = this.#options.clock.now();
    this.#pingSentMs = undefined;
    const reader = this.#reader;
    try {
      reader.push(chunk);
      while (!this.isClosed && reader.next()) this.#frame(reader);
    } catch (error) {
      if (!(error instanceof Http2WireError)) throw error;
      this.#tellAccepted();
      this.#socket?.write(encodeGoAway(0, error.goAwayCode, error.message));
      this.#close('protocol-violation', error.message);
      return;
    }
    this.#tellAccepted();
    if (this.isClosed) return;
    this.#continuePartial();
    this.#flushControls();
    this.#closeWhenEmpty();
    // Also after the last answer: what it brought may be due to be sent again.
    this.#events.turned(this);
  }

  #frame(frame: Http2FrameReader): void {
    switch (frame.type) {
      case FrameType.headers:
        this.#answerHead(frame);
        return;
      case FrameType.data:
        this.#answerBody(frame);
        return;
      case FrameType.rstStream:
        this.#streamReset(frame);
        return;
      case FrameType.settings:
        this.#settings(frame);
        return;
      case FrameType.ping:
        if ((frame.flags & FrameFlag.ack) === 0) {
          this.#control(encodePing(frame.bytes.subarray(frame.start, frame.end), 'ack'));
        }
        return;
      case FrameType.goAway:
        this.#goAway(frame);
        return;
      case FrameType.windowUpdate:
        this.#windowUpdate(frame.streamId, frame.u32(0) & maxWindow);
        return;
      default:
      // PRIORITY: nothing to a client.
    }
  }

  #answerHead(frame: Http2FrameReader): void {
    const head = this.#head.reset();
    // Every block, also of streams that are over: it may change the table.
    this.#hpack.decode(frame.bytes, frame.start, frame.end, head.field);
    const stream = this.#streamOf(frame);
    if (stream === undefined) return;
    const { status } = head;
    const isLast = frame.hasEndStream;
    if (status >= 100 && status < 200 && !isLast && stream.status === 0) return;
    const isTrailer = status === 0;
    if (isTrailer ? stream.status === 0 || !isLast : status < 200 || stream.status !== 0) {
      throw new Http2WireError('http2-protocol-error', 'An answer whose heads make no sense');
    }
    if (!isTrailer) {
      stream.status = status;
      stream.retryAfter = head.retryAfter;
      // What is said with the head is said: a connection that dies before the end of the body changes nothing.
      if (status === 200) this.#taken(stream);
    }
    if (isLast) this.#finish(stream);
  }

  #answerBody(frame: Http2FrameReader): void {
    const { flowLength } = frame;
    this.#receiveWindow -= flowLength;
    if (this.#receiveWindow < 0) {
      throw new Http2WireError('http2-flow-control-error', 'More DATA than the window of the connection');
    }
    if (this.#receiveWindow < receiveWindow / 2) {
      this.#control(encodeWindowUpdate(0, receiveWindow - this.#receiveWindow));
      this.#receiveWindow = receiveWindow;
    }
    const stream = this.#streamOf(frame);
    if (stream === undefined) return;
    if (stream.status === 0)
      throw new Http2WireError('http2-protocol-error', 'DATA before the head of an answer');
    stream.bodyBytes += flowLength;
    if (stream.bodyBytes > defaultWindow) {
      throw new Http2WireError('http2-flow-control-error', 'More DATA than the window of its stream');
    }
    if (stream.status !== 200 && stream.body.length < longestBody) {
      stream.body += frame.bytes.toString('utf8', frame.start, frame.end);
    }
    if (frame.hasEndStream) this.#finish(stream);
  }

  #streamReset(frame: Http2FrameReader): void {
    const stream = this.#streamOf(frame);
    if (stream === undefined) return;
    const code = frame.u32(0);
    if (stream.status !== 0) {
      this.#finish(stream);
      return;
    }
    this.streams.remove(stream);
    this.#isBlocked = false;
    if (isProbe(stream.run)) {
      this.#close('stream-reset', `the probe was reset: ${http2ErrorName(code)}`);
      return;
    }
    if (code !== Http2ErrorCode.refusedStream) {
      this.#events.uncertain(spansOf([stream]), 'stream-reset');
      return;
    }
    // Safe to send again (RFC 9113 section 8.7); but a gateway that refuses one after another is left alone for a while.
    this.#events.unprocessed([stream]);
    if (++this.#refusedInARow > 2 * this.#options.streams)
      this.leave('stream-reset', 'every stream was refused');
  }

  #settings(frame: Http2FrameReader): void {
    if ((frame.flags & FrameFlag.ack) !== 0) return;
    frame.eachSetting((id, value) => {
      if (id === SettingId.maxConcurrentStreams) this.#peerStreams = value;
      else if (id === SettingId.initialWindowSize) {
        this.#partial?.widen(value - this.#streamWindow);
        this.#streamWindow = value;
      }
    });
    this.#isBlocked = false;
    this.#control(encodeSettingsAck());
    if (this.#state.kind !== 'connecting') return;
    this.#state.cancelTimer();
    this.#state = { kind: 'open' };
    this.#events.opened(this);
  }

  #goAway(frame: Http2FrameReader): void {
    const lastStreamId = frame.u32(0) & maxWindow;
    const code = frame.u32(4);
    const debug = frame.bytes.toString(
      'utf8',
      frame.start + 8,
      Math.min(frame.end, frame.start + 8 + longestBody),
    );
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

  #windowUpdate(streamId: number, increment: number): void {
    if (streamId !== 0) {
      if (streamId === this.#partial?.streamId) this.#partial.widen(increment);
      return;
    }
    this.#sendWindow += increment;
    if (this.#sendWindow > maxWindow) {
      throw new Http2WireError('http2-flow-control-error', 'A window of the connection over 2^31 - 1');
    }
    this.#isBlocked = false;
  }

  /** The stream of a frame; undefined: it is over for us. A stream that we never opened breaks the protocol. */
  #streamOf({ streamId }: Http2FrameReader): OpenStream | undefined {
    const stream = this.streams.get(streamId);
    if (stream === undefined && (streamId >= this.#nextStreamId || streamId % 2 === 0)) {
      throw new Http2WireError('http2-protocol-error', 'A frame on a stream that is not open');
    }
    return stream;
  }

  /** 200. Told in ranges: answers mostly come in order. */
  #taken({ run, position }: OpenStream): void {
    this.#answered = true;
    this.#isTrusted = true;
    this.#refusedInARow = 0;
    if (run === this.#okRun && position === this.#okTo) {
      this.#okTo++;
      return;
    }
    this.#tellAccepted();
    this.#okRun = run;
    this.#okFrom = position;
    this.#okTo = position + 1;
  }

  #tellAccepted(): void {
    const run = this.#okRun;
    if (run === undefined) return;
    this.#okRun = undefined;
    if (!isProbe(run)) this.#events.accepted(run, this.#okFrom, this.#okTo);
  }

  /** The stream is over, and its answer is as complete as it will be. */
  #finish(stream: OpenStream): void {
    this.streams.remove(stream);
    this.#isBlocked = false;
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
    for (;;) {
      const stream = this.streams.oldest;
      if (stream === undefined || stream.writtenAtMs > writtenBeforeMs) break;
      this.streams.remove(stream);
      this.#control(encodeRstStream(stream.id, Http2ErrorCode.cancel));
      if (stream.status === 0) given.push({ ...stream });
      else if (stream.status !== 200) this.#judge(stream);
    }
    if (given.length === 0) return;
    this.#isBlocked = false;
    if (given.some(({ run }) => isProbe(run))) this.#close('stream-stalled', 'the probe went unanswered');
    else this.#events.uncertain(spansOf(given), 'stream-stalled');
    this.#continuePartial();
    this.#events.turned(this);
  }

  #control(bytes: Buffer): void {
    this.#controls.push(bytes);
  }

  #flushControls(): void {
    if (this.#controls.length === 0 || this.#state.kind === 'closed') return;
    const socket = this.#socket!;
    socket.write(Buffer.concat(this.#controls));
    this.#controls = [];
    if (socket.writableLength > longestControlBacklog + 2 * 128 * 1024) {
      this.#close('write-stalled', 'the gateway does not read what it asks for');
    }
  }

  #closeWhenEmpty(): void {
    const state = this.#state;
    if (state.kind === 'leaving' && this.streams.size === 0) this.#close(state.end, state.detail);
  }

  /** The one way into `closed`: hands back everything that is in the window, once. */
  #close(end: ConnectionEnd, detail: string): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind === 'connecting') {
      state.cancelTimer();
      state.cancelSocket();
    }
    this.#cancelStall?.();
    this.#cancelGrace?.();
    this.#tellAccepted();
    this.#state = { kind: 'closed' };
    this.#endSocket(end);
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

  #endSocket(end: ConnectionEnd): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    const hasSaidWhy = end === 'protocol-violation';
    const isPolite = end === 'drained' || end === 'rotated' || end === 'idle' || end === 'goaway';
    if (!hasSaidWhy && !isPolite) {
      socket.destroy();
      return;
    }
    if (hasSaidWhy) socket.end();
    else socket.end(encodeGoAway(0, Http2ErrorCode.noError));
    const cancel = this.#options.clock.after(1_000, () => socket.destroy());
    socket.once('close', cancel);
  }
}

const pingBytes = Buffer.from('pushflee', 'latin1');

function isAboutCredential({ action }: Verdict): boolean {
  return action === 'pause' || action === 'sign-anew' || action === 'reconnect' || action === 'keep-token';
}

function connectFailureOf(error: unknown): ConnectionEnd {
  if (error instanceof TunnelError) return error.code === 'proxy-refused' ? 'connect-failed' : 'tls-failed';
  const end = connectionEndOf(error);
  return end === 'tls-failed' || end === 'credential-refused' ? end : 'connect-failed';
}
