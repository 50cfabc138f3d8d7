import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@pushfleet/service-kit';
import { migrate, openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { Problem } from './http/problem.ts';

export type DatabaseState = 'connecting' | 'ready';

export interface DatabaseLinkOptions {
  readonly connectionString: string;
  readonly logger: Logger;
}

/** Between tries at a Postgres that is away or does not let us in, milliseconds. */
const retryMs = { first: 500, most: 5_000 };

/**
 * Postgres, which may be away when the producer starts, and whenever it likes afterwards: sends do not need it. The
 * schema is brought up to date in the background, tried again whatever went wrong: a password, a right or a disk can
 * be put in order without us. Until then whatever needs Postgres is answered 503.
 */
export class DatabaseLink {
  readonly #options: DatabaseLinkOptions;
  readonly #store: TokenStore;
  readonly #abort = new AbortController();
  readonly #migrated: Promise<void>;
  #state: DatabaseState = 'connecting';
  #trouble: string | undefined;

  constructor(options: DatabaseLinkOptions) {
    this.#options = options;
    this.#store = openTokenStore({
      connectionString: options.connectionString,
      applicationName: 'pushfleet-producer',
    });
    this.#migrated = this.#migrate();
  }

  /** `ready`: the schema is up to date; Postgres may be away again since. */
  get state(): DatabaseState {
    return this.#state;
  }

  /** Why the schema is not up to date; undefined: it is, or the first try is under way. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Resolves when the schema is up to date, or the link is closed. */
  get migrated(): Promise<void> {
    return this.#migrated;
  }

  /** @throws Problem `database-unavailable` while the schema is not up to date */
  get store(): TokenStore {
    if (this.#state === 'ready') return this.#store;
    throw new Problem('database-unavailable', 'Postgres has not been ready since the start');
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#migrated;
    await this.#store.close();
  }

  async #migrate(): Promise<void> {
    const { connectionString, logger } = this.#options;
    const { signal } = this.#abort;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await migrate(connectionString, { log: (line) => logger.debug({ line }, 'migration') });
        if (failures > 0) logger.info({ failures }, 'Postgres can be used');
        this.#trouble = undefined;
        this.#state = 'ready';
        return;
      } catch (err) {
        const reason = err instanceof Error ? err.message : String(err);
        if (reason !== this.#trouble)
          logger.warn({ err }, 'Postgres cannot be used; only sends are served until it can');
        this.#trouble = reason;
      }
      const pauseMs = Math.min(retryMs.most, retryMs.first * 2 ** failures);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
