import type { Logger } from './log/logger.ts';

/** Logs once when Redis cannot be reached any more, and once when it answers again, however often it is told. */
export class ReachLog {
  readonly #logger: Logger;
  readonly #meanwhile: string;
  #isReached = true;

  /** @param meanwhile What that means, for people: `sends are refused until it can`. */
  constructor(logger: Logger, meanwhile: string) {
    this.#logger = logger;
    this.#meanwhile = meanwhile;
  }

  update(isReached: boolean): void {
    if (isReached === this.#isReached) return;
    this.#isReached = isReached;
    if (isReached) this.#logger.info('Redis answers again');
    else this.#logger.warn({ meanwhile: this.#meanwhile }, 'Redis cannot be reached');
  }
}
