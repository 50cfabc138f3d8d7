import type { Span } from '../binary/span.ts';
import { SpanQueue } from '../binary/span-queue.ts';
import type { Clock } from '../clock.ts';
import type { GatewayAnswer, NotificationRun } from '../transport.ts';
import { payloadLimitOf } from './push-topics.ts';
import { RunHeaders } from './run-headers.ts';

/** A contiguous range of a run's positions, half-open. */
export type RunSpan = Span<NotificationRun>;

/** As the gateway would answer it: it need not be asked. */
const payloadTooLarge: GatewayAnswer = { reason: 'PayloadTooLarge', status: 413, tokenInvalid: false };
const unsendable: GatewayAnswer = { reason: 'UnsendableHeaders', status: 400, tokenInvalid: false };

/**
 * Notifications that wait to be written, as connections read them: from the front, and what cannot or must not be
 * sent any more is settled on the way.
 */
export class Backlog {
  readonly #queue = new SpanQueue<NotificationRun>();
  readonly #headers = new WeakMap<NotificationRun, RunHeaders>();
  readonly #clock: Clock;
  readonly #topic: string;
  readonly #settled: (count: number) => void;

  /** @param settled told how many have settled here */
  constructor(options: { clock: Clock; topic: string; settled: (count: number) => void }) {
    this.#clock = options.clock;
    this.#topic = options.topic;
    this.#settled = options.settled;
  }

  get size(): number {
    return this.#queue.size;
  }

  push(run: NotificationRun): void {
    this.#headers.set(run, new RunHeaders(run, this.#topic));
    this.#queue.push({ run, from: 0, to: run.columns.count });
  }

  /** Puts spans before everything else: what is to be sent again. */
  unshift(spans: readonly RunSpan[]): void {
    this.#queue.unshift(spans);
  }

  takeAll(): RunSpan[] {
    return this.#queue.takeAll();
  }

  headersOf(run: NotificationRun): RunHeaders {
    let headers = this.#headers.get(run);
    if (headers === undefined) {
      headers = new RunHeaders(run, this.#topic);
      this.#headers.set(run, headers);
    }
    return headers;
  }

  /** Removes the `written` first positions, and gives the stretch that is to be written next. */
  take(written: number): RunSpan | undefined {
    if (written > 0) {
      const { run, from } = this.#queue.front()!;
      this.#queue.advance(written);
      run.sink.written(from, from + written);
    }
    for (;;) {
      const span = this.#queue.front();
      if (span === undefined) return undefined;
      const live = this.#settleFront(span);
      if (live !== undefined) return live;
    }
  }

  /** The first position has headers that cannot be sent. */
  refuseFirst(): void {
    const { run, from } = this.#queue.front()!;
    this.#reject(run, from, unsendable);
  }

  /** Settles what has expired, or is too large, at the front; gives the stretch that follows, if there is one. */
  #settleFront(span: RunSpan): RunSpan | undefined {
    const { run, from, to } = span;
    const { expirations } = run.columns;
    const headers = this.headersOf(run);
    const nowSeconds = Math.floor(this.#clock.now() / 1000);
    // Mostly there is nothing to look for, however long the span is.
    if (nowSeconds < headers.earliestExpiration && !headers.mayBeTooLarge) return span;
    const isExpired = (position: number): boolean =>
      expirations[position]! !== 0 && expirations[position]! <= nowSeconds;
    const isTooLarge = (position: number): boolean =>
      headers.mayBeTooLarge && payloadLengthOf(run, position) > payloadLimitOf(headers.pushType(position));
    let live = from;
    while (live < to && isExpired(live)) live++;
    if (live > from) {
      this.#queue.advance(live - from);
      this.#settled(live - from);
      run.sink.expired(from, live);
      return undefined;
    }
    if (isTooLarge(from)) {
      this.#reject(run, from, payloadTooLarge);
      return undefined;
    }
    let end = from + 1;
    while (end < to && !isExpired(end) && !isTooLarge(end)) end++;
    return { run, from, to: end };
  }

  #reject(run: NotificationRun, position: number, answer: GatewayAnswer): void {
    this.#queue.advance(1);
    this.#settled(1);
    run.sink.rejected(position, answer);
  }
}

function payloadLengthOf({ columns }: NotificationRun, position: number): number {
  const payload = columns.payloadOf[position]!;
  return columns.payloadOffsets[payload + 1]! - columns.payloadOffsets[payload]!;
}
