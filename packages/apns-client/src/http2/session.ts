import {
  encodePing,
  encodeRstStream,
  Http2ErrorCode,
  http2ErrorName,
  SettingId,
} from '@pushfleet/apns-wire/http2';
import type { ConnectionEnd } from '../transport/transport.ts';
import { goAwayReason } from './answer-policy.ts';
import { AnswerReader } from './answer-reader.ts';
import type { Backlog } from './backlog.ts';
import type { WorkTrouble } from './connection-work.ts';
import type { ResolvedHttp2Options } from './options.ts';
import type { Probe } from './probe.ts';
import { RequestWriter, type WriteContext } from './request-writer.ts';
import type { Http2Span } from './run.ts';
import {
  type StreamOutcomeEvents,
  StreamOutcomes,
  type StreamOutcomesOptions,
  type StreamTrouble,
} from './stream-outcomes.ts';
import { type OpenStream, StreamTable } from './stream-table.ts';

// HTTP/2 on one connection without its socket: bytes go in, and frames, outcomes and what they mean for the connection
// come out. In flight are the streams without an end.

const pingBytes = Buffer.from('pushflee', 'latin1');

/** What a session tells its connection. */
export interface SessionEvents {
  /** The gateway's first SETTINGS have come. */
  ready(): void;
  /** The gateway takes no more requests. @param isCredential It names the credential as its reason. */
  goAway(detail: string, isCredential: boolean): void;
  /** The fate of streams shows that the connection does not do its work. */
  troubled(trouble: Exclude<StreamTrouble, undefined>, end: ConnectionEnd, detail: string): void;
  /** A frame is to go out at the end of the turn. */
  frame(frame: Buffer): void;
}

export class Http2Session {
  readonly #streams = new StreamTable();
  readonly #events: SessionEvents;
  readonly #writer: RequestWriter;
  readonly #reader: AnswerReader;
  readonly #outcomes: StreamOutcomes;
  /** No stream above it is processed: the gateway's GOAWAY. */
  #lastProcessedId = Number.POSITIVE_INFINITY;
  /** Until the gateway has said how many streams it takes, what we dare. */
  #peerStreams: number;
  #isLimited = false;
  #firstStreams: number | undefined;

  constructor(
    options: ResolvedHttp2Options & StreamOutcomesOptions & { readonly earlyStreams: number },
    outcomeEvents: StreamOutcomeEvents,
    events: SessionEvents,
  ) {
    const { clock, serverName, port, lastStreamId } = options;
    const authority = port === 443 ? serverName : `${serverName}:${port}`;
    this.#events = events;
    this.#peerStreams = options.earlyStreams;
    this.#writer = new RequestWriter(this.#streams, authority, lastStreamId);
    this.#outcomes = new StreamOutcomes(outcomeEvents, options);
    this.#reader = new AnswerReader(
      this.#streams,
      {
        accepted: (stream) => this.#outcomes.accept(stream),
        finished: (stream) => this.#finish(stream),
        reset: (stream, code) => this.#reset(stream, code),
        malformed: (stream, detail) => this.#endMalformed(stream, detail),
        setting: (name, value) => this.#set(name, value),
        settingsEnd: () => this.#settle(),
        goAway: (lastStreamId, code, debug) => this.#goAway(lastStreamId, code, debug),
        windowUpdate: (streamId, increment) => this.#writer.widen(streamId, increment),
        pong: () => this.#outcomes.roundTrip.returned(clock.now()),
        reply: (frame) => this.#events.frame(frame),
      },
      clock.now(),
    );
  }

  /** Requests without an answer. */
  get inFlight(): number {
    return this.#streams.size;
  }

  /** Requests that may be written now. */
  get room(): number {
    return this.streams - this.#streams.size;
  }

  /** A PING, to be sent at once. */
  ping(nowMs: number): Buffer {
    this.#outcomes.roundTrip.asked(nowMs, this.#streams.size === 0);
    return encodePing(pingBytes);
  }

  /** Requests that may be without an answer at a time. */
  get streams(): number {
    return Math.min(this.#outcomes.allowance, this.#peerStreams);
  }

  /** How many streams the first SETTINGS allowed; undefined: they have not come. */
  get firstStreams(): number | undefined {
    return this.#firstStreams;
  }

  /** What may be sent now, bytes of payloads. */
  get window(): number {
    return this.#writer.window;
  }

  /** There and back, milliseconds, whatever else is under way; undefined: not measured yet. */
  get roundTripMs(): number | undefined {
    return this.#outcomes.roundTrip.ms;
  }

  /** Whether only the gateway can make room. */
  get isSaturated(): boolean {
    return this.room <= 0 || this.#writer.isStuck;
  }

  /** Out of stream identifiers. */
  get isExhausted(): boolean {
    return this.#writer.isExhausted;
  }

  /** Whether the gateway has shown that it takes our token, and serves as many streams as we want. */
  get isTrusted(): boolean {
    return this.#outcomes.isTrusted;
  }

  /** Whether the gateway ever answered a request with something else than trouble of its own. */
  get hasServed(): boolean {
    return this.#outcomes.hasServed;
  }

  /** Why the connection should be left; undefined: it does its work. */
  trouble(nowMs: number): WorkTrouble | undefined {
    return this.#outcomes.work.trouble(this.#streams.oldestWriteMs, nowMs);
  }

  /** Encodes requests from the front of the backlog. Returns how many bytes of the chunk. */
  fill(context: WriteContext, backlog: Backlog): number {
    return this.#writer.fill(context, backlog, this.room);
  }

  /** Encodes a probe. Returns how many bytes of the chunk. */
  fillWith(context: WriteContext, probe: Probe): number {
    return this.#writer.fillWith(context, probe);
  }

  /** Reads a chunk, as long as `goesOn` returns true. @throws Http2WireError when the gateway breaks the protocol */
  read(chunk: Buffer, nowMs: number, goesOn: () => boolean): void {
    this.#outcomes.reading(nowMs);
    this.#reader.read(chunk, this.#writer.nextStreamId, goesOn);
  }

  /** To be called now and then: frames without an answer that come seldom are no flood. */
  relax(nowMs: number): void {
    this.#reader.relax(nowMs);
  }

  /** Settles the answers with 200 that have been read, and not been settled. */
  settleAccepted(): void {
    this.#outcomes.settleAccepted();
  }

  /** Gives up streams that have waited for an answer since before that time, on both sides. */
  giveUp(writtenBeforeMs: number): void {
    const overdue = this.#streams.takeWrittenBefore(writtenBeforeMs);
    if (overdue.length === 0) return;
    const { unsentId } = this.#writer;
    for (const { id } of overdue) {
      this.#events.frame(encodeRstStream(id, Http2ErrorCode.cancel));
      this.#writer.forget(id);
    }
    this.#writer.unstick();
    const trouble = this.#outcomes.overdue(overdue, unsentId);
    this.#report(trouble, 'stream-stalled', 'the probe went unanswered');
  }

  /** Goes on with the request that flow control has held up, if there is one. */
  continueRequest(): void {
    const abandoned = this.#writer.takeAbandoned();
    if (abandoned !== undefined) this.#events.frame(encodeRstStream(abandoned, Http2ErrorCode.cancel));
    for (const data of this.#writer.continuePartial()) this.#events.frame(data);
  }

  /** The gateway has ended the handshake: it has looked at nothing that we have sent. */
  discardAll(): void {
    this.#outcomes.discarded(this.#streams.takeAbove(0));
  }

  /** The connection has ended. Settles what is known of its streams, and returns what is uncertain. */
  end(): Http2Span[] {
    return this.#outcomes.abandoned(this.#streams.takeAbove(0), this.#writer.unsentId);
  }

  #finish(stream: OpenStream): void {
    this.#streams.remove(stream);
    this.#writer.unstick();
    this.#outcomes.finished(stream);
    this.#streams.release(stream);
  }

  #reset(stream: OpenStream, code: number): void {
    if (stream.status !== 0) {
      this.#finish(stream);
      return;
    }
    this.#streams.remove(stream);
    this.#writer.unstick();
    const trouble = this.#outcomes.reset(stream, code, stream.id === this.#writer.unsentId);
    this.#report(trouble, 'stream-reset', `the probe was reset: ${http2ErrorName(code)}`);
  }

  /** An answer that makes no sense ends its stream, and no other (RFC 9113 section 8.1.1). */
  #endMalformed(stream: OpenStream, detail: string): void {
    this.#events.frame(encodeRstStream(stream.id, Http2ErrorCode.protocolError));
    this.#writer.forget(stream.id);
    this.#streams.remove(stream);
    this.#writer.unstick();
    this.#report(this.#outcomes.malformed(stream), 'stream-reset', `the answer to the probe: ${detail}`);
  }

  #set(id: number, value: number): void {
    if (id === SettingId.maxConcurrentStreams) {
      this.#peerStreams = value;
      this.#isLimited = true;
    } else if (id === SettingId.initialWindowSize) this.#writer.setStreamWindow(value);
    this.#writer.unstick();
  }

  /** All of a frame of settings is known. Of the first, what it does not name is without a limit (RFC 9113 section 6.5.2). */
  #settle(): void {
    if (this.#firstStreams !== undefined) return;
    if (!this.#isLimited) this.#peerStreams = Number.POSITIVE_INFINITY;
    this.#firstStreams = this.#peerStreams;
    this.#writer.unstick();
    this.#events.ready();
  }

  #goAway(lastStreamId: number, code: number, debug: string): void {
    const said = goAwayReason(debug);
    // A second GOAWAY may only lower it (RFC 9113 section 6.8).
    this.#lastProcessedId = Math.min(this.#lastProcessedId, lastStreamId);
    this.#outcomes.discarded(this.#streams.takeAbove(this.#lastProcessedId));
    this.#events.goAway(said?.reason ?? http2ErrorName(code), said?.isCredential === true);
  }

  #report(trouble: StreamTrouble, end: ConnectionEnd, detail: string): void {
    if (trouble !== undefined) this.#events.troubled(trouble, end, detail);
  }
}
