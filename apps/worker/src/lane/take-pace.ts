import { jitterMs } from '@pushfleet/service-kit';
import type { Loop } from '../loop.ts';

/**
 * Jobs being taken at once, at most: what keeps a worker busy while Redis answers. No more come in one turn of the event
 * loop either: as long as a socket has something to read, Node.js goes on reading it, and everything else waits.
 */
const mostAtOnce = 4;
/** How long nothing is taken after Redis has failed, about, milliseconds. */
const retryPauseMs = 250;
/** Delayed jobs that are due later than this are found by the watch of all queues, milliseconds. */
const timerHorizonMs = 5_000;

/**
 * When one lane may ask Redis for a push job, and how many at once. It learns from the doorbell, from the watch of all
 * queues and from a timer for the next delayed job that there may be some; there is no timer while the lane is idle. It
 * wakes the loop when time alone makes the difference.
 */
export class TakePace {
  readonly #loop: Loop;
  #underWay = 0;
  #mayHaveMore = false;
  #rings = 0;
  #cameThisTurn = 0;
  /** How many may be taken at once now: rises while jobs come. */
  #atOnce = 1;
  #timer: NodeJS.Timeout | undefined;
  #isPausing = false;
  #isStopped = false;

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  /** Jobs that are being taken now. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Whether there may be a job, and Redis may be asked for one now. */
  get mayAsk(): boolean {
    return (
      this.#mayHaveMore &&
      !this.#isPausing &&
      !this.#isStopped &&
      this.#underWay + this.#cameThisTurn < this.#atOnce
    );
  }

  /** How often there may have been news of a job. */
  get rings(): number {
    return this.#rings;
  }

  /** There may be a job. */
  ring(): void {
    this.#rings++;
    this.#mayHaveMore = true;
  }

  /** A delayed job is due at `atMs`, epoch milliseconds. */
  expectAt(atMs: number): void {
    const waitMs = atMs - Date.now();
    if (waitMs > timerHorizonMs || this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.ring();
        this.#loop.wake();
      },
      Math.max(1, waitMs),
    );
  }

  /** Redis is asked for a job; `took`, `foundNone` or `failed` follows. */
  begin(): void {
    this.#underWay++;
  }

  /** A job has come. */
  took(): void {
    this.#underWay--;
    this.#atOnce = Math.min(mostAtOnce, this.#atOnce + 1);
    if (this.#cameThisTurn++ > 0) return;
    setImmediate(() => {
      this.#cameThisTurn = 0;
      this.#loop.wake();
    });
  }

  /**
   * There was no job.
   * @param rings As they were when Redis was asked: what has rung since may have come after it looked.
   * @param nextAtMs When the first delayed job is due, epoch milliseconds.
   */
  foundNone(rings: number, nextAtMs: number | undefined): void {
    this.#underWay--;
    if (rings === this.#rings) this.#mayHaveMore = false;
    this.#atOnce = 1;
    if (nextAtMs !== undefined) this.expectAt(nextAtMs);
  }

  /** Redis did not answer. */
  failed(): void {
    this.#underWay--;
    this.#atOnce = 1;
    this.#isPausing = true;
    setTimeout(
      () => {
        this.#isPausing = false;
        this.#loop.wake();
      },
      jitterMs(retryPauseMs, 0.5),
    ).unref();
  }

  /** No job is asked for any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
