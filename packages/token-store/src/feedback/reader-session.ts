import type pg from 'pg';
import type { Database } from '../database.ts';
import { asTokenStoreError } from '../token-store-error.ts';

// One reader of the feedback service at a time in the whole fleet (`docs/protocol/feedback.md#one-reader`). The lock
// belongs to a session of Postgres, and what was read is stored in that same session: a reader that lost the lock
// finds out when it stores. Postgres ends the session of a reader that is dead (keepalive), or alive and stuck (idle
// timeout).

/** Names the lock; the second number is made from the app. */
const lockClass = 0x50_46_46_42;

export interface ReaderSessionOptions {
  /** A session that is silent for longer is ended by Postgres; milliseconds, 60,000 by default. */
  readonly idleTimeoutMs?: number;
}

export class ReaderSession {
  readonly #client: pg.Client;
  readonly #heartbeat: NodeJS.Timeout;
  #ended = false;
  /** One use at a time. */
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(client: pg.Client, idleTimeoutMs: number) {
    this.#client = client;
    client.once('end', () => this.#end());
    client.once('error', () => this.#end());
    this.#heartbeat = setInterval(() => {
      this.run((session) => session.query('select 1')).catch(() => this.#end());
    }, idleTimeoutMs / 4);
    this.#heartbeat.unref();
  }

  /** Undefined: somebody else has the lock. @throws TokenStoreError */
  static async open(
    database: Database,
    app: string,
    options: ReaderSessionOptions = {},
  ): Promise<ReaderSession | undefined> {
    const idleTimeoutMs = options.idleTimeoutMs ?? 60_000;
    const client = await database.openSession(`pushfleet-feedback ${app}`);
    try {
      await client.query(
        `select set_config('idle_session_timeout', $1, false), set_config('tcp_keepalives_idle', '10', false),
           set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false)`,
        [`${idleTimeoutMs}ms`],
      );
      const { rows } = await client.query<{ locked: boolean }>(
        'select pg_try_advisory_lock($1, hashtext($2)) as locked',
        [lockClass, app],
      );
      if (rows[0]!.locked) return new ReaderSession(client, idleTimeoutMs);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw asTokenStoreError(error);
    }
    await client.end().catch(() => undefined);
    return undefined;
  }

  /** The session is over, and its lock with it. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Runs statements in the session, after those that are under way. @throws TokenStoreError */
  run<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const turn = this.#tail.then(() => work(this.#client));
    this.#tail = turn.catch(() => undefined);
    return turn.catch((error: unknown) => {
      throw asTokenStoreError(error);
    });
  }

  async close(): Promise<void> {
    this.#end();
    await this.#client.end().catch(() => undefined);
  }

  #end(): void {
    this.#ended = true;
    clearInterval(this.#heartbeat);
  }
}
