import type { Database } from '../database.ts';
import { storableText } from '../storable-text.ts';
import { asTokenStoreError } from '../token-store-error.ts';
import { copyTuples, type FeedbackTuple } from './copy-tuples.ts';
import { ReaderSession, type ReaderSessionOptions } from './reader-session.ts';

/**
 * How a reading ended: `complete`, the service closed after the last tuple; `truncated`, it closed within a tuple;
 * `broken`, the connection broke, or said something that is no feedback; `timed-out`, the service fell silent;
 * `stopped`, by ourselves; `failed`, no connection came about; `interrupted`, the reader died.
 */
export const readingResults = [
  'complete',
  'truncated',
  'broken',
  'timed-out',
  'stopped',
  'failed',
  'interrupted',
] as const;
export type ReadingResult = (typeof readingResults)[number];

export interface ReadingEnd {
  readonly result: ReadingResult;
  /** For people. */
  readonly detail?: string;
  /** Bytes that did not become a tuple. */
  readonly remainder?: Uint8Array;
}

/** One connection to the feedback service of an app, while it is read. Holds the app's lock in the fleet. */
export class FeedbackReading {
  readonly id: string;
  readonly app: string;
  readonly #database: Database;
  readonly #options: ReaderSessionOptions;
  #session: ReaderSession | undefined;
  #position = 0;
  /** The last `append` failed, and may have stored its tuples all the same. */
  #inDoubt = false;

  constructor(
    database: Database,
    reading: { id: string; app: string; session: ReaderSession },
    options: ReaderSessionOptions,
  ) {
    this.#database = database;
    this.id = reading.id;
    this.app = reading.app;
    this.#session = reading.session;
    this.#options = options;
  }

  /** Another reader may be at work: what was read is to be stored, and no more to be read. */
  get hasLostLock(): boolean {
    return this.#session === undefined || this.#session.hasEnded;
  }

  /** Tuples stored so far. */
  get count(): number {
    return this.#position;
  }

  /**
   * Stores tuples, durably when it resolves, as one chunk to be applied: 5,000 at a time are a tenth of a second in
   * which a registration of one of them waits. After a failure it is to be called again with the same ones: it finds
   * out whether they were stored.
   * @throws TokenStoreError
   */
  async append(tuples: readonly FeedbackTuple[]): Promise<void> {
    if (tuples.length === 0) return;
    if (this.hasLostLock) await this.#takeLockAgain();
    try {
      if (!(this.#inDoubt && (await this.#areStored(tuples.length)))) await this.#copy(tuples);
      this.#inDoubt = false;
    } catch (error) {
      this.#inDoubt = true;
      throw asTokenStoreError(error);
    }
    this.#position += tuples.length;
  }

  /** Ends the reading. @throws TokenStoreError */
  async finish(end: ReadingEnd): Promise<void> {
    await this.#database.query(
      `update feedback_readings set ended_at = now(), result = $2, detail = $3, remainder = $4, tuples = $5
       where id = $1`,
      [
        this.id,
        end.result,
        end.detail === undefined ? null : storableText(end.detail),
        end.remainder === undefined || end.remainder.length === 0 ? null : Buffer.from(end.remainder),
        this.#position,
      ],
    );
  }

  /** Releases the lock. */
  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }

  async #copy(tuples: readonly FeedbackTuple[]): Promise<void> {
    const session = this.#session;
    if (session !== undefined && !session.hasEnded) {
      await session.run((client) => copyTuples(client, this.id, this.#position + 1, tuples));
      return;
    }
    // The lock is somebody else's now; what was read is ours to store all the same.
    const client = await this.#database.openSession('pushfleet-feedback');
    try {
      await copyTuples(client, this.id, this.#position + 1, tuples);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** COPY stores all or nothing. */
  async #areStored(count: number): Promise<boolean> {
    const { rows } = await this.#database.query<{ stored: boolean }>(
      'select exists(select from feedback_tuples where reading = $1 and position = $2) as stored',
      [this.id, this.#position + count],
    );
    return rows[0]!.stored;
  }

  async #takeLockAgain(): Promise<void> {
    await this.#session?.close();
    this.#session = await ReaderSession.open(this.#database, this.app, this.#options);
  }
}
