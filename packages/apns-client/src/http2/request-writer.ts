import { ApnsWireError } from '@pushfleet/apns-wire';
import { defaultWindow, Http2WireError, maxWindow, RequestEncoder } from '@pushfleet/apns-wire/http2';
import type { Backlog } from './backlog.ts';
import { PartialRequest } from './partial-request.ts';
import type { Probe } from './probe.ts';
import type { Http2Run, Http2Span } from './run.ts';
import type { StreamTable } from './stream-table.ts';

/** What every request of one write has in common. */
export interface WriteContext {
  readonly chunk: Buffer;
  readonly authorization: string | undefined;
  readonly nowMs: number;
}

/**
 * The sending side of a connection: numbers streams, minds the windows of flow control, and enters every request into
 * the table of streams before it is written. Knows no socket.
 */
export class RequestWriter {
  /** Identifier of the next stream: odd, rising (RFC 9113 section 5.1.1). */
  nextStreamId = 1;
  readonly #streams: StreamTable;
  readonly #encoder: RequestEncoder;
  readonly #lastStreamId: number;
  /** Flow control, ours to spend: of the connection, and of a stream when it opens. */
  #window = defaultWindow;
  #streamWindow = defaultWindow;
  #partial: PartialRequest | undefined;
  #isStuck = false;

  constructor(streams: StreamTable, authority: string, lastStreamId: number) {
    this.#streams = streams;
    this.#encoder = new RequestEncoder(authority);
    this.#lastStreamId = lastStreamId;
  }

  /** Whether only the gateway can bring it further: the last write got nowhere, or a payload waits for its window. */
  get isStuck(): boolean {
    return this.#isStuck || this.#partial !== undefined;
  }

  /** What the gateway allows the connection to send now, bytes of payloads. */
  get window(): number {
    return this.#window;
  }

  /** Out of stream identifiers. */
  get isExhausted(): boolean {
    return this.nextStreamId > this.#lastStreamId;
  }

  /** The gateway has moved: the next write may get somewhere. */
  unstick(): void {
    this.#isStuck = false;
  }

  /** Encodes requests from the front of the backlog, at most `room` of them; returns how many bytes of the chunk. */
  fill(context: WriteContext, backlog: Backlog, room: number): number {
    let length = 0;
    let left = Math.min(room, Math.floor((this.#lastStreamId - this.nextStreamId) / 2) + 1);
    let span = backlog.next();
    while (span !== undefined && left > 0) {
      const { run, from } = span;
      run.headers.authorization = context.authorization;
      const to = Math.min(span.to, from + left);
      const isSendable = this.#encode(context, length, { run, from, to });
      const { position, end } = this.#encoder;
      length = end;
      left -= position - from;
      backlog.written(position - from);
      span = backlog.next();
      if (!isSendable) {
        backlog.refuseFirst();
        span = backlog.next();
      } else if (position < to) {
        const begun = this.#beginPartial(context, length, run, position);
        if (begun > 0) {
          length = begun;
          backlog.written(1);
        }
        break;
      }
    }
    // Nothing written though something waits: the gateway has to move first.
    this.#isStuck = length === 0 && span !== undefined;
    return length;
  }

  /** Encodes a probe; returns how many bytes of the chunk. */
  fillWith(context: WriteContext, probe: Probe): number {
    probe.headers.authorization = context.authorization;
    this.#encode(context, 0, { run: probe, from: 0, to: 1 });
    return this.#encoder.end;
  }

  /** More of a payload that waited for its window: DATA frames. */
  *continuePartial(): Generator<Buffer> {
    const partial = this.#partial;
    if (partial === undefined) return;
    for (let data = partial.take(this.#window); data !== undefined; data = partial.take(this.#window)) {
      this.#window -= data.spent;
      if (partial.isDone) this.#partial = undefined;
      yield data.frame;
    }
  }

  /** The stream whose request has not been sent to its end, if there is one. */
  get unsentId(): number | undefined {
    return this.#partial?.streamId;
  }

  /** We have reset the stream: no more of its payload is sent. */
  forget(streamId: number): void {
    if (this.#partial?.streamId === streamId) this.#partial = undefined;
  }

  /** The stream whose payload waits was answered or reset before all of it went out: our side has to end it too. */
  takeAbandoned(): number | undefined {
    const partial = this.#partial;
    if (partial === undefined || this.#streams.get(partial.streamId) !== undefined) return undefined;
    this.#partial = undefined;
    return partial.streamId;
  }

  /** SETTINGS_INITIAL_WINDOW_SIZE, which also widens or narrows the stream under way (RFC 9113 section 6.9.2). */
  setStreamWindow(window: number): void {
    this.#partial?.widen(window - this.#streamWindow);
    this.#streamWindow = window;
  }

  /** WINDOW_UPDATE. Throws `http2-flow-control-error`. */
  widen(streamId: number, increment: number): void {
    if (streamId !== 0) {
      if (streamId === this.#partial?.streamId) this.#partial.widen(increment);
      return;
    }
    this.#window += increment;
    if (this.#window > maxWindow) {
      throw new Http2WireError('http2-flow-control-error', 'A window of the connection over 2^31 - 1');
    }
    this.unstick();
  }

  /** False: the request at `encoder.position` cannot be sent by anybody. */
  #encode(context: WriteContext, length: number, { run, from, to }: Http2Span): boolean {
    const { chunk, authorization, nowMs } = context;
    const encoder = this.#encoder;
    let isSendable = true;
    try {
      encoder.encode(
        chunk,
        length,
        run.columns,
        run.headers,
        from,
        to,
        this.nextStreamId,
        this.#window,
        this.#streamWindow,
      );
    } catch (error) {
      if (!(error instanceof ApnsWireError)) throw error;
      isSendable = false;
    }
    this.#window = encoder.window;
    for (let position = from; position < encoder.position; position++) {
      this.#streams.add(this.nextStreamId, run, position, authorization, nowMs);
      this.nextStreamId += 2;
    }
    return isSendable;
  }

  /**
   * Begins a request whose payload the windows have no room for at once; returns the new length of the chunk, or 0. Only
   * where waiting would not help: the window of a stream is too small, or nothing is under way.
   */
  #beginPartial(
    { chunk, authorization, nowMs }: WriteContext,
    length: number,
    run: Http2Run,
    position: number,
  ): number {
    const { payloads, payloadOf, payloadOffsets } = run.columns;
    const payload = payloadOf[position]!;
    const [start, end] = [payloadOffsets[payload]!, payloadOffsets[payload + 1]!];
    const fitsStream = end - start <= this.#streamWindow;
    const fitsConnection = end - start <= this.#window;
    if (fitsStream && (fitsConnection || this.#streams.size > 0)) return 0;
    const streamId = this.nextStreamId;
    const at = this.#encoder.encodeHeaders(chunk, length, run.columns, run.headers, position, streamId);
    if (at < 0) return 0;
    this.#partial = new PartialRequest(streamId, payloads, start, end, this.#streamWindow);
    this.#streams.add(streamId, run, position, authorization, nowMs);
    this.nextStreamId += 2;
    return at;
  }
}
