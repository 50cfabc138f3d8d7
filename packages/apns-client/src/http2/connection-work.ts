/** Why a connection is to be left: answers have stopped, or all of them are 5xx. */
export type WorkTrouble = 'stream-stalled' | 'gateway-errors';

/** Answers with 5xx in a row after which the trouble may be the connection's own. */
const errorsBeforeLeaving = 5;
/** Streams without an answer in time, less those with one, after which a connection is not waited for any longer. */
const unansweredBeforeLeaving = 3;
/** Silence counts as trouble after this many milliseconds and ten times what answers usually take, whichever is longer. */
const shortestSilenceMs = 3_000;
const usualAnswers = 10;
/** Until the first answer nothing is known of what is usual. Milliseconds. */
const firstAnswerMs = 10_000;

/**
 * Whether a connection does its work: whether requests on it are answered, and with something else than 5xx. PINGs and
 * other frames do not count: a gateway may answer them and no request. Knows no clock.
 */
export class ConnectionWork {
  readonly #streamTimeoutMs: number;
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  /** What an answer takes, smoothed. Milliseconds. */
  #usualMs: number | undefined;
  #errorsInARow = 0;
  #unanswered = 0;

  constructor(streamTimeoutMs: number) {
    this.#streamTimeoutMs = streamTimeoutMs;
  }

  answered(writtenAtMs: number, nowMs: number): void {
    this.#lastAnswerMs = nowMs;
    this.#errorsInARow = 0;
    if (this.#unanswered > 0) this.#unanswered--;
    const tookMs = nowMs - writtenAtMs;
    this.#usualMs = this.#usualMs === undefined ? tookMs : this.#usualMs + (tookMs - this.#usualMs) / 8;
  }

  /** An answer with 5xx. */
  failed(nowMs: number): void {
    this.#lastAnswerMs = nowMs;
    this.#errorsInARow++;
  }

  /** Streams whose answers did not come in time. @param oldestWriteMs When the first of them was written. */
  unanswered(streams: number, oldestWriteMs: number): void {
    // Where nothing else was answered since, there is nothing to set against them.
    this.#unanswered += this.#lastAnswerMs < oldestWriteMs ? unansweredBeforeLeaving : streams;
  }

  /** An answer that makes no sense. */
  malformed(): void {
    this.#unanswered++;
  }

  /** @param oldestWriteMs When the request was written that has waited longest; undefined: none waits. */
  trouble(oldestWriteMs: number | undefined, nowMs: number): WorkTrouble | undefined {
    if (this.#errorsInARow >= errorsBeforeLeaving) return 'gateway-errors';
    if (this.#unanswered >= unansweredBeforeLeaving) return 'stream-stalled';
    if (oldestWriteMs === undefined) return undefined;
    const silentSinceMs = Math.max(this.#lastAnswerMs, oldestWriteMs);
    return nowMs - silentSinceMs >= this.#longestSilenceMs ? 'stream-stalled' : undefined;
  }

  get #longestSilenceMs(): number {
    const usualMs =
      this.#usualMs === undefined ? firstAnswerMs : Math.max(shortestSilenceMs, usualAnswers * this.#usualMs);
    return Math.min(this.#streamTimeoutMs, usualMs);
  }
}
