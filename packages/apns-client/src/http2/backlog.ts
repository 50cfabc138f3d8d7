import type { Clock } from '../clock.ts';
import { SpanQueue } from '../span-queue.ts';
import type { GatewayAnswer } from '../transport.ts';
import type { Http2Run, Http2Span } from './http2-run.ts';
import { payloadLimitOf } from './push-topics.ts';
import { type OpenStream, spansOf } from './stream-table.ts';

/** As the gateway would answer it: it need not be asked. */
const payloadTooLarge: GatewayAnswer = { reason: 'PayloadTooLarge', status: 413, tokenInvalid: false };
const unsendable: GatewayAnswer = { reason: 'UnsendableHeaders', status: 400, tokenInvalid: false };

/**
 * Notifications that wait to be written, as connections read them: from the front, and what cannot or must not be
 * sent any more is settled on the way.
 */
export class Backlog {
  readonly #queue = new SpanQueue<Http2Run>();
  readonly #clock: Clock;
  /** To be sent again; waits for the end of the turn, so that what comes back together stays together. */
  #again: Pick<OpenStream, 'run' | 'position'>[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#queue.size;
  }

  push(run: Http2Run): void {
    this.#queue.push({ run, from: 0, to: run.columns.count });
  }

  /** Takes a notification back that is to be sent again. */
  sendAgain({ run, position }: OpenStream): void {
    this.#again.push({ run, position });
  }

  /** The end of a turn: puts what is to be sent again before everything else, in its order. Gives how many. */
  restore(): number {
    const again = this.#again;
    if (again.length === 0) return 0;
    this.#again = [];
    this.#queue.unshift(spansOf(again));
    return again.length;
  }

  takeAll(): Http2Span[] {
    this.restore();
    return this.#queue.takeAll();
  }

  /** Removes the `written` first positions, and gives the stretch that is to be written next. */
  take(written: number): Http2Span | undefined {
    if (written > 0) {
      const { run, from } = this.#queue.front()!;
      this.#queue.advance(written);
      run.written(from, from + written);
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
  #settleFront(span: Http2Span): Http2Span | undefined {
    const { run, from, to } = span;
    const { headers } = run;
    const { expirations } = run.columns;
    const nowSeconds = Math.floor(this.#clock.now() / 1000);
    // Mostly there is nothing to look for, however long the span is.
    if (nowSeconds < run.earliestExpiration && !headers.mayBeTooLarge) return span;
    const isExpired = (position: number): boolean =>
      expirations[position]! !== 0 && expirations[position]! <= nowSeconds;
    const isTooLarge = (position: number): boolean =>
      headers.mayBeTooLarge && payloadLengthOf(run, position) > payloadLimitOf(headers.pushType(position));
    let live = from;
    while (live < to && isExpired(live)) live++;
    if (live > from) {
      this.#queue.advance(live - from);
      run.expired(from, live);
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

  #reject(run: Http2Run, position: number, answer: GatewayAnswer): void {
    this.#queue.advance(1);
    run.rejected(position, answer);
  }
}

function payloadLengthOf({ columns }: Http2Run, position: number): number {
  const payload = columns.payloadOf[position]!;
  return columns.payloadOffsets[payload + 1]! - columns.payloadOffsets[payload]!;
}
