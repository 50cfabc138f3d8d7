import type { Logger } from '@pushfleet/service-kit';

/**
 * Whether something that this service stands on answers; told once when it stops, and once when it is back, however
 * often it is tried in between.
 */
export class Trouble {
  readonly #what: string;
  readonly #logger: Logger;
  #reason: string | undefined;
  #failures = 0;

  constructor(what: string, logger: Logger) {
    this.#what = what;
    this.#logger = logger;
  }

  /** Undefined: all is well. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** In a row. */
  get failures(): number {
    return this.#failures;
  }

  failed(err: unknown): void {
    this.#failures += 1;
    if (this.#reason === undefined)
      this.#logger.warn({ err, dependency: this.#what }, 'does not answer; trying on');
    this.#reason = `${this.#what}: ${err instanceof Error ? err.message : String(err)}`;
  }

  succeeded(): void {
    if (this.#reason !== undefined) {
      this.#logger.info({ dependency: this.#what, failures: this.#failures }, 'answers again');
    }
    this.#reason = undefined;
    this.#failures = 0;
  }
}
