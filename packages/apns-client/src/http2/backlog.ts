import type { GatewayAnswer } from '@pushfleet/apns-wire/answer';
import { http2PayloadLimit } from '@pushfleet/apns-wire/payload';
import type { Clock } from '../transport/clock.ts';
import { SpanQueue } from '../transport/span-queue.ts';
import { WaitingSpans } from '../transport/waiting-spans.ts';
import type { RefusedTopics } from './refused-topics.ts';
import type { Http2Run, Http2Span } from './run.ts';
import { type OpenStream, spansOf } from './stream-table.ts';

/** As the gateway would answer it: it need not be asked. */
const payloadTooLarge: GatewayAnswer = {
  reason: 'PayloadTooLarge',
  status: 413,
  fault: 'notification',
  tokenInvalid: false,
};
const unsendable: GatewayAnswer = {
  reason: 'UnsendableHeaders',
  status: 400,
  fault: 'notification',
  tokenInvalid: false,
};

/** Notifications that wait to be written, or to be written again. */
export class Backlog extends WaitingSpans<Http2Run> {
  readonly #queue: SpanQueue<Http2Run>;
  readonly #clock: Clock;
  readonly #refusedTopics: RefusedTopics;
  /** To be sent again; waits for the end of the turn, so that what comes back together stays together. */
  #again: Pick<OpenStream, 'run' | 'position'>[] = [];

  constructor(clock: Clock, refusedTopics: RefusedTopics) {
    const queue = new SpanQueue<Http2Run>();
    super(queue, clock);
    this.#queue = queue;
    this.#clock = clock;
    this.#refusedTopics = refusedTopics;
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

  /** The end of a turn: puts what is to be sent again before everything else, in its order. Returns how many. */
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

  /** The first position has headers that cannot be sent. */
  refuseFirst(): void {
    this.reject(this.#queue.front()!, unsendable);
  }

  protected override mayRefuse({ headers }: Http2Run): boolean {
    return headers.mayBeTooLarge || this.#refusedTopics.size > 0;
  }

  protected override refusalOf({ columns, headers }: Http2Run, position: number): GatewayAnswer | undefined {
    const { payloadOf, payloadOffsets } = columns;
    const payload = payloadOf[position]!;
    const length = payloadOffsets[payload + 1]! - payloadOffsets[payload]!;
    if (length > http2PayloadLimit(headers.pushType(position))) return payloadTooLarge;
    if (this.#refusedTopics.size === 0) return undefined;
    return this.#refusedTopics.answerFor(headers.topic(position), this.#clock.now());
  }
}
