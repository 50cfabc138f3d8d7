import { Http2ErrorCode } from '@pushfleet/apns-wire/http2';
import type { Clock } from '../clock.ts';
import type { ConnectionEnd } from '../transport.ts';
import { isAboutCredential, judgeAnswer, type Verdict } from './answer-policy.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { Http2Run, Http2Span } from './http2-run.ts';
import { Probe } from './probe.ts';
import { type OpenStream, spansOf } from './stream-table.ts';

/** What became of requests, told to the transport. Streams may serve others afterwards: nobody keeps them. */
export interface StreamOutcomeEvents {
  /** 200: taken by the gateway, proved. */
  accepted(run: Http2Run, from: number, to: number): void;
  /** Any other answer. */
  judged(connection: Http2Connection, stream: OpenStream, verdict: Verdict): void;
  /** What the gateway said to the probe; undefined: it was taken. */
  probed(connection: Http2Connection, stream: OpenStream, verdict: Verdict | undefined): void;
  /** Never processed by the gateway: to be sent again. In order. */
  unprocessed(streams: readonly OpenStream[]): void;
  /** Nobody can know. */
  uncertain(spans: readonly Http2Span[], cause: ConnectionEnd): void;
}

/** What a lost stream means for its connection. */
export type StreamTrouble = 'probe-lost' | 'refuses-all' | undefined;

/** Makes outcomes of what ends the streams of one connection. Streams come here when they are out of its window. */
export class StreamOutcomes {
  readonly #connection: Http2Connection;
  readonly #events: StreamOutcomeEvents;
  readonly #clock: Clock;
  /** So many streams refused in a row, and the gateway is left alone for a while. */
  readonly #mostRefused: number;
  #answered = false;
  #isTrusted: boolean;
  #refusedInARow = 0;
  /** Accepted, and not yet told: a range, since answers mostly come in order. */
  #accepted: { readonly run: Http2Run; readonly from: number; to: number } | undefined;

  constructor(
    connection: Http2Connection,
    events: StreamOutcomeEvents,
    options: { readonly clock: Clock; readonly streams: number; readonly needsToken: boolean },
  ) {
    this.#connection = connection;
    this.#events = events;
    this.#clock = options.clock;
    this.#mostRefused = 2 * options.streams;
    this.#isTrusted = !options.needsToken;
  }

  /** Whether the gateway ever answered a request. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Whether the gateway has shown that it takes our token: before, it takes one stream (PROTOCOL section 4). */
  get isTrusted(): boolean {
    return this.#isTrusted;
  }

  /** The head of an answer says 200; the stream itself may still be open. */
  taken({ run, position }: OpenStream): void {
    this.#answered = true;
    this.#isTrusted = true;
    this.#refusedInARow = 0;
    const accepted = this.#accepted;
    if (accepted?.run === run && accepted.to === position) {
      accepted.to++;
      return;
    }
    this.tellAccepted();
    this.#accepted = { run, from: position, to: position + 1 };
  }

  /** To be called when no more answers are at hand. */
  tellAccepted(): void {
    const accepted = this.#accepted;
    if (accepted === undefined) return;
    this.#accepted = undefined;
    const { run, from, to } = accepted;
    if (!(run instanceof Probe)) this.#events.accepted(run, from, to);
  }

  /** The answer is as complete as it will be. */
  finished(stream: OpenStream): void {
    if (stream.status !== 200) this.#judge(stream);
    else if (stream.run instanceof Probe) this.#events.probed(this.#connection, stream, undefined);
  }

  /** The gateway reset a stream before it answered. */
  reset(stream: OpenStream, code: number): StreamTrouble {
    if (stream.run instanceof Probe) return 'probe-lost';
    if (code !== Http2ErrorCode.refusedStream) {
      this.#events.uncertain(spansOf([stream]), 'stream-reset');
      return undefined;
    }
    // Safe to send again (RFC 9113 section 8.7).
    this.#events.unprocessed([stream]);
    return ++this.#refusedInARow > this.#mostRefused ? 'refuses-all' : undefined;
  }

  /** The gateway has said that it will not process these. */
  discarded(streams: readonly OpenStream[]): void {
    const unprocessed = streams.filter(isUnanswered);
    if (unprocessed.length > 0) this.#events.unprocessed(unprocessed);
    this.#judgeUnfinished(streams);
  }

  /** No answer has come in time: nobody can know what became of them. */
  overdue(streams: readonly OpenStream[]): StreamTrouble {
    this.#judgeUnfinished(streams);
    const silent = streams.filter(isUnanswered);
    if (silent.length > 0) this.#events.uncertain(spansOf(silent), 'stream-stalled');
    return streams.some(({ status, run }) => status === 0 && run instanceof Probe) ? 'probe-lost' : undefined;
  }

  /** The connection has ended under these; gives what nobody can know. */
  abandoned(streams: readonly OpenStream[]): Http2Span[] {
    this.#judgeUnfinished(streams);
    return spansOf(streams.filter(isUnanswered));
  }

  #judge(stream: OpenStream): void {
    const verdict = judgeAnswer(stream, this.#clock.epochMs());
    this.#answered = true;
    this.#refusedInARow = 0;
    if (!isAboutCredential(verdict.action)) this.#isTrusted = true;
    if (stream.run instanceof Probe) this.#events.probed(this.#connection, stream, verdict);
    else this.#events.judged(this.#connection, stream, verdict);
  }

  /** Answers whose head has come and whose body will not: the status alone has to do. */
  #judgeUnfinished(streams: readonly OpenStream[]): void {
    for (const stream of streams) if (stream.status !== 0 && stream.status !== 200) this.#judge(stream);
  }
}

/** A notification of which the gateway has said nothing. */
function isUnanswered({ status, run }: OpenStream): boolean {
  return status === 0 && !(run instanceof Probe);
}
