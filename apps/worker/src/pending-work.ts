import type { Logger } from '@pushfleet/service-kit';

/** What goes on in Redis for one app, so that a stop can wait for it. */
export class PendingWork {
  readonly #logger: Logger;
  readonly #pending = new Set<Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Follows work to its end. It should not reject: its push job would be held until its lock runs out. */
  follow(work: Promise<void>): void {
    const followed = work
      .catch((err: unknown) =>
        this.#logger.error({ err }, 'an unexpected error: the push job is left to another worker'),
      )
      .finally(() => this.#pending.delete(followed));
    this.#pending.add(followed);
  }

  /** Resolves when all work has ended, what has begun meanwhile included. */
  async ended(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }
}
