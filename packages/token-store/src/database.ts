import pg from 'pg';
import { asTokenStoreError, isConflict } from './token-store-error.ts';

// The pool and the two ways to use it: one statement, or a transaction. Every wait at Postgres has a limit, on the
// server's side where it has one, so that a session that lost its client gives its locks up as well.

export interface DatabaseOptions {
  readonly connectionString: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /** Connections at most; 10 by default. */
  readonly maxConnections?: number;
  /** For a free or new connection, milliseconds; 5,000 by default. */
  readonly connectTimeoutMs?: number;
  /** For one statement; 30,000 by default. */
  readonly statementTimeoutMs?: number;
  /** For one lock; 10,000 by default. */
  readonly lockTimeoutMs?: number;
  /** Told of connections that broke while they were idle; the pool replaces them. */
  readonly onConnectionError?: (error: Error) => void;
}

/** What runs statements that need no transaction of their own: the database, or a transaction. */
export interface Statements {
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

/** What runs a statement: the pool, or the connection of a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

const conflictTries = 8;

export class Database {
  readonly #pool: pg.Pool;
  readonly #options: DatabaseOptions;

  /** Opens no connection before it has to. */
  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({
      ...this.#clientOptions(),
      max: options.maxConnections ?? 10,
      idleTimeoutMillis: 30_000,
    });
    this.#pool.on('error', (error) => options.onConnectionError?.(error));
    // A connection that breaks while it is in use, between two statements: the next one fails, and says so.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Runs one statement. @throws TokenStoreError */
  async query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<pg.QueryResult<Row>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#pool.query<Row>(text, [...values]);
      } catch (error) {
        if (!isConflict(error) || attempt === conflictTries) throw asTokenStoreError(error);
        await pauseAfter(attempt);
      }
    }
  }

  /** Runs `work` in a transaction, anew after deadlocks and serialization failures. @throws TokenStoreError */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#transactOnce(work);
      } catch (error) {
        if (!isConflict(error) || attempt === conflictTries) throw asTokenStoreError(error);
        await pauseAfter(attempt);
      }
    }
  }

  /** A connection outside the pool, for locks of a session; the caller ends it. @throws TokenStoreError */
  async openSession(applicationName: string): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#clientOptions(), application_name: applicationName });
    // Who uses the session learns of it from the next statement, and from `end`.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw asTokenStoreError(error);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #transactOnce<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken = true;
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      broken = false;
      return result;
    } catch (error) {
      try {
        await client.query('rollback');
        broken = false;
      } catch {
        // The connection is gone, and the transaction with it.
      }
      throw error;
    } finally {
      client.release(broken);
    }
  }

  #clientOptions(): pg.ClientConfig {
    const options = this.#options;
    const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
    return {
      connectionString: options.connectionString,
      application_name: options.applicationName ?? 'pushfleet',
      connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
      statement_timeout: statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs ?? 10_000,
      idle_in_transaction_session_timeout: 60_000,
      // The client's own deadline is for a server that does not answer at all.
      query_timeout: statementTimeoutMs + 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    };
  }
}

/** Full jitter, so that those that were in each other's way do not meet again. */
function pauseAfter(attempt: number): Promise<void> {
  const ms = Math.random() * Math.min(500, 10 * 2 ** attempt);
  return new Promise((resolve) => setTimeout(resolve, ms));
}
