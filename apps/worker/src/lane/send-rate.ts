import type { Loop } from '../loop.ts';

/** What a lane that stood still may send at once: so many seconds of its rate. */
const burstSeconds = 0.1;

/**
 * How many notifications a lane may hand over now, by the rate of its app: a token bucket. A push job goes as a whole where
 * anything may go, and what it was too much is made up for before the next.
 */
export class SendRate {
  readonly #perSecond: number;
  readonly #loop: Loop;
  readonly #most: number;
  #balance: number;
  #atMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param perSecond Notifications; undefined: there is no limit. */
  constructor(perSecond: number | undefined, loop: Loop, nowMs: number) {
    this.#perSecond = perSecond ?? Number.POSITIVE_INFINITY;
    this.#most = Math.max(1, this.#perSecond * burstSeconds);
    this.#balance = this.#most;
    this.#loop = loop;
    this.#atMs = nowMs;
  }

  /** Notifications; 0 or less: the next push job has to wait. Infinite without a limit. */
  allowance(nowMs: number): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return this.#perSecond;
    return Math.min(this.#most, this.#balance + ((nowMs - this.#atMs) / 1_000) * this.#perSecond);
  }

  /** So many have been handed over. Wakes the loop when the next may be. */
  spend(notifications: number, nowMs: number): void {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return;
    this.#balance = this.allowance(nowMs) - notifications;
    this.#atMs = nowMs;
    clearTimeout(this.#timer);
    if (this.#balance > 0) return;
    this.#timer = setTimeout(
      () => this.#loop.wake(),
      // A timer that is early by a fraction must not find the balance at 0.
      Math.min(2 ** 31 - 1, (-this.#balance / this.#perSecond) * 1_000 + 1),
    );
  }

  /** Wakes nobody any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
