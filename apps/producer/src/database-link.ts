import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@pushfleet/service-kit';
import { migrate, openTokenStore, type TokenStore, TokenStoreError } from '@pushfleet/token-store';
import { Problem } from './http/problem.ts';

export type DatabaseState = 'connecting' | 'ready' | 'failed';

export interface DatabaseLinkOptions {
  readonly connectionString: string;
  readonly logger: Logger;
}

/** Between tries to reach a Postgres that is away, milliseconds. */
const retryMs = 1_000;

/**
 * Postgres, which may be away when the producer starts, and whenever it likes afterwards: sends do not need it. The
 * schema is brought up to date in the background; until then whatever needs Postgres is answered 503.
 */
export class DatabaseLink {
  readonly #options: DatabaseLinkOptions;
  readonly #store: TokenStore;
  readonly #abort = new AbortController();
  readonly #migrated: Promise<void>;
  #state: DatabaseState = 'connecting';

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

  /** Resolves when the schema is up to date, or will not be. */
  get migrated(): Promise<void> {
    return this.#migrated;
  }

  /** @throws Problem `database-unavailable` while the schema is not up to date */
  get store(): TokenStore {
    if (this.#state === 'ready') return this.#store;
    throw new Problem('database-unavailable', 'Postgres has not been reached since the start');
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#migrated;
    await this.#store.close();
  }

  async #migrate(): Promise<void> {
    const { connectionString, logger } = this.#options;
    const { signal } = this.#abort;
    let told = false;
    while (!signal.aborted) {
      try {
        await migrate(connectionString, { log: (line) => logger.debug({ line }, 'migration') });
        this.#state = 'ready';
        return;
      } catch (err) {
        if (!(err instanceof TokenStoreError && err.isTransient)) {
          this.#state = 'failed';
          logger.error({ err }, 'the database cannot be brought up to date; only sends are served');
          return;
        }
        const { message: reason } = err;
        if (!told) logger.warn({ reason }, 'Postgres cannot be reached; only sends are served until it is');
        told = true;
      }
      await delay(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
