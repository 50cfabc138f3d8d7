import type { Logger } from '@pushfleet/service-kit';

/**
 * Whether something that one part of this service stands on answers it; told once when it stops, and once when it is
 * back, however often it is tried in between. Each part has its own: a full disk stops one and not another.
 */
export class Trouble {
  readonly #what: 'Postgres' | 'Redis';
  readonly #part: string;
  readonly #logger: Logger;
  #reason: string | undefined;
  #failures = 0;

  constructor(what: 'Postgres' | 'Redis', part: string, logger: Logger) {
    this.#what = what;
    this.#part = part;
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
      this.#logger.warn(
        { err, dependency: this.#what, part: this.#part },
        'the dependency failed; trying again',
      );
    this.#reason = `${this.#what}, ${this.#part}: ${err instanceof Error ? err.message : String(err)}`;
  }

  succeeded(): void {
    if (this.#reason !== undefined) {
      this.#logger.info(
        { dependency: this.#what, part: this.#part, failures: this.#failures },
        'the dependency works again',
      );
    }
    this.#reason = undefined;
    this.#failures = 0;
  }
}
