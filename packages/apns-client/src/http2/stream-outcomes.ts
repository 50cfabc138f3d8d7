import { Http2ErrorCode } from '@pushfleet/apns-wire/http2';
import type { Clock } from '../transport/clock.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import { type AnswerMeaning, isAboutCredential, judgeAnswer } from './answer-policy.ts';
import type { AnswerTimes } from './answer-times.ts';
import { ConnectionWork } from './connection-work.ts';
import { Probe } from './probe.ts';
import { RoundTrip } from './round-trip.ts';
import type { Http2Run, Http2Span } from './run.ts';
import { type OpenStream, spansOf } from './stream-table.ts';

/** What became of the requests of one connection. A stream may serve another request afterwards: it is not to be kept. */
export interface StreamOutcomeEvents {
  /** 200: accepted by the gateway, proved. */
  accepted(run: Http2Run, from: number, to: number): void;
  /** Any other answer. */
  judged(stream: OpenStream, meaning: AnswerMeaning): void;
  /** What the gateway said to the probe; undefined: 200. */
  probed(stream: OpenStream, meaning: AnswerMeaning | undefined): void;
  /** Never processed by the gateway: to be sent again. In order. */
  unprocessed(streams: readonly OpenStream[]): void;
  /** Nobody can know. */
  uncertain(spans: readonly Http2Span[], cause: ConnectionEnd): void;
}

/** What a lost stream means for its connection. */
export type StreamTrouble = 'probe-lost' | 'refuses-all' | undefined;

/** Streams at a time until the first answer: a connection that answers nothing but 500 has no more at stake. */
const mostUnserved = 100;

/**
 * Streams refused in a row after which a connection is left, of those that were written after the first refusal was known;
 * fewer where the connection before it was refused everything.
 */
const mostRefused = { usually: 50, afterDoubt: 5 };

export interface StreamOutcomesOptions {
  readonly clock: Clock;
  /** Streams at a time, at most. */
  readonly streams: number;
  readonly streamTimeoutMs: number;
  /** The gateway is not known to take the credential: one request asks, and the others wait for its answer. */
  readonly isInDoubt: boolean;
  /** The connection before this one left doubt: it begins with one stream, and one more for each answer. */
  readonly startsSmall: boolean;
  /** What answers take, over all connections. */
  readonly answerTimes: AnswerTimes;
}

/** Makes outcomes of what ends the streams of one connection. Streams come here when they are out of its window. */
export class StreamOutcomes {
  /** Whether the connection does its work. */
  readonly work: ConnectionWork;
  readonly roundTrip = new RoundTrip();
  readonly #events: StreamOutcomeEvents;
  readonly #options: StreamOutcomesOptions;
  /** So many streams refused in a row, and the gateway is left alone for a while. */
  readonly #mostRefused: number;
  /** Of the chunk that is being read, by `Clock.now()`. */
  #nowMs: number;
  #hasServed = false;
  #allowance: number;
  #refusedInARow = 0;
  /** When the first of them was refused, by `Clock.now()`. */
  #refusedSinceMs: number | undefined;
  /** Accepted, and not yet settled: a range, since answers mostly come in order. */
  #accepted: { readonly run: Http2Run; readonly from: number; to: number } | undefined;

  constructor(events: StreamOutcomeEvents, options: StreamOutcomesOptions) {
    const { clock, streams, streamTimeoutMs, isInDoubt, startsSmall } = options;
    this.#events = events;
    this.#options = options;
    this.#mostRefused = startsSmall ? mostRefused.afterDoubt : mostRefused.usually;
    this.#nowMs = clock.now();
    this.#allowance = isInDoubt || startsSmall ? 1 : Math.min(streams, mostUnserved);
    this.work = new ConnectionWork(streamTimeoutMs);
  }

  /** Whether the gateway ever answered a request with something else than trouble of its own. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** How many streams may be open at a time. */
  get allowance(): number {
    return this.#allowance;
  }

  /** Whether the gateway has shown that it takes our credential, and serves as many streams as we want. */
  get isTrusted(): boolean {
    return this.#allowance >= this.#options.streams && this.#hasServed;
  }

  /** A chunk is about to be read. */
  reading(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** The head of an answer says 200; the stream itself may still be open. */
  accept({ run, position, writtenAtMs }: OpenStream): void {
    this.#served(writtenAtMs);
    const accepted = this.#accepted;
    if (accepted?.run === run && accepted.to === position) {
      accepted.to++;
      return;
    }
    this.settleAccepted();
    this.#accepted = { run, from: position, to: position + 1 };
  }

  /** Settles the answers with 200 that `accept` has gathered. To be called when no more answers are at hand. */
  settleAccepted(): void {
    const accepted = this.#accepted;
    if (accepted === undefined) return;
    this.#accepted = undefined;
    const { run, from, to } = accepted;
    if (!(run instanceof Probe)) this.#events.accepted(run, from, to);
  }

  /** The answer is as complete as it will be. */
  finished(stream: OpenStream): void {
    if (stream.status !== 200) this.#judge(stream, judgeAnswer(stream, this.#options.clock.epochMs()));
    else if (stream.run instanceof Probe) this.#events.probed(stream, undefined);
  }

  /**
   * The gateway reset a stream before it answered.
   *
   * @param isUnsent The end of the request had not been sent, so that the gateway cannot have processed it.
   */
  reset(stream: OpenStream, code: number, isUnsent: boolean): StreamTrouble {
    if (stream.run instanceof Probe) return 'probe-lost';
    if (code !== Http2ErrorCode.refusedStream && !isUnsent) {
      this.#events.uncertain(spansOf([stream]), 'stream-reset');
      return undefined;
    }
    // Safe to send again (RFC 9113 section 8.7).
    this.#events.unprocessed([stream]);
    this.#refusedSinceMs ??= this.#nowMs;
    // What was under way then may well be refused all: a gateway takes fewer streams at once than it has said.
    if (stream.writtenAtMs >= this.#refusedSinceMs) this.#refusedInARow++;
    return this.#refusedInARow > this.#mostRefused ? 'refuses-all' : undefined;
  }

  /** The answer makes no sense (RFC 9113 section 8.1.1): its stream is over, whatever came before stands. */
  malformed(stream: OpenStream): StreamTrouble {
    this.work.malformed();
    if (stream.run instanceof Probe) return 'probe-lost';
    if (stream.status === 0) this.#events.uncertain(spansOf([stream]), 'stream-reset');
    else this.#judgeUnfinished([stream]);
    return undefined;
  }

  /** The gateway has said that it will not process these. */
  discarded(streams: readonly OpenStream[]): void {
    const unprocessed = streams.filter(isUnanswered);
    if (unprocessed.length > 0) this.#events.unprocessed(unprocessed);
    this.#judgeUnfinished(streams);
  }

  /**
   * No answer has come in time: what became of them is uncertain.
   *
   * @param unsentId The stream whose request has not been sent to its end, if there is one.
   */
  overdue(streams: readonly OpenStream[], unsentId: number | undefined): StreamTrouble {
    this.#judgeUnfinished(streams);
    const silent = this.#handBackUnsent(streams.filter(isUnanswered), unsentId);
    if (silent.length > 0) {
      this.work.unanswered(silent.length, silent[0]!.writtenAtMs);
      this.#events.uncertain(spansOf(silent), 'stream-stalled');
    }
    return streams.some(({ status, run }) => status === 0 && run instanceof Probe) ? 'probe-lost' : undefined;
  }

  /** The connection has ended under these; returns what is uncertain. */
  abandoned(streams: readonly OpenStream[], unsentId: number | undefined): Http2Span[] {
    this.#judgeUnfinished(streams);
    return spansOf(this.#handBackUnsent(streams.filter(isUnanswered), unsentId));
  }

  /** Hands back the one whose request has not been sent to its end. Returns the others. */
  #handBackUnsent(streams: readonly OpenStream[], unsentId: number | undefined): readonly OpenStream[] {
    const unsent = streams.find(({ id }) => id === unsentId);
    if (unsent === undefined) return streams;
    this.#events.unprocessed([unsent]);
    return streams.filter((stream) => stream !== unsent);
  }

  #judge(stream: OpenStream, meaning: AnswerMeaning): void {
    const { action, answer } = meaning;
    this.#refusedInARow = 0;
    this.#refusedSinceMs = undefined;
    if (answer.status >= 500) this.work.failed(this.#nowMs);
    else if (action !== 'foreign' && !isAboutCredential(action)) this.#served(stream.writtenAtMs);
    if (stream.run instanceof Probe) this.#events.probed(stream, meaning);
    else this.#events.judged(stream, meaning);
  }

  /** The gateway has dealt with a request. */
  #served(writtenAtMs: number): void {
    const { streams, startsSmall } = this.#options;
    this.#refusedInARow = 0;
    this.#refusedSinceMs = undefined;
    this.#hasServed = true;
    if (this.#allowance < streams) this.#allowance = startsSmall ? this.#allowance + 1 : streams;
    this.work.answered(writtenAtMs, this.#nowMs);
    this.#options.answerTimes.add(this.#nowMs - writtenAtMs);
    this.roundTrip.answered(this.#nowMs - writtenAtMs);
  }

  /** Answers whose head has come and whose body will not: no word of Apple's, and no stranger's either. */
  #judgeUnfinished(streams: readonly OpenStream[]): void {
    for (const stream of streams) {
      if (stream.status === 0 || stream.status === 200) continue;
      const meaning = judgeAnswer(stream, this.#options.clock.epochMs());
      this.#judge(stream, meaning.action === 'foreign' ? { ...meaning, action: 'retry' } : meaning);
    }
  }
}

/** A notification of which the gateway has said nothing. */
function isUnanswered({ status, run }: OpenStream): boolean {
  return status === 0 && !(run instanceof Probe);
}
