import type { Database } from '../database.ts';
import { type AppliedChunk, applyNextChunk } from './apply-feedback.ts';
import { FeedbackReading, type ReadingResult } from './feedback-reading.ts';
import { ReaderSession, type ReaderSessionOptions } from './reader-session.ts';

/** What is known of the readings of an app. */
export interface LastReading {
  readonly app: string;
  readonly startedAt: Date;
  /** Null: it is under way, or its reader died. */
  readonly result: ReadingResult | null;
  /** Milliseconds since it started, on the database's clock. */
  readonly ageMs: number;
  /** Readings that failed since the last one that did not, 10 at most. */
  readonly failures: number;
}

export interface OpenReadingOptions extends ReaderSessionOptions {
  readonly unlessYoungerThanMs?: number;
}

/** Readings of the feedback service. Every method throws TokenStoreError. */
export interface Feedback {
  lastReadings(apps: readonly string[]): Promise<LastReading[]>;
  /**
   * Takes the app's lock in the fleet and begins a reading; undefined: somebody else has the lock, or has begun a
   * reading less than `unlessYoungerThanMs` ago.
   */
  openReading(app: string, options?: OpenReadingOptions): Promise<FeedbackReading | undefined>;
  /** Ends the readings of these apps whose readers have died; returns how many. */
  endInterrupted(apps: readonly string[]): Promise<number>;
  /**
   * Applies the next stored chunk, also of a reading under way; undefined: nothing is left that nobody else applies.
   * Several at a time may.
   */
  applyNextChunk(): Promise<AppliedChunk | undefined>;
  /** Tuples that are stored and not yet applied, by app. */
  backlog(): Promise<{ app: string; tuples: number }[]>;
}

const lastReadingsSql = `
select a.app, r.started_at as "startedAt", r.result,
  (extract(epoch from now() - r.started_at) * 1000)::float8 as "ageMs",
  (select count(*)::integer from (
    select bool_and(result = 'failed') over (order by started_at desc) as still_failing
    from (
      select started_at, result from feedback_readings f where f.app = a.app and f.ended_at is not null
      order by f.started_at desc limit 10
    ) recent
  ) row where still_failing) as failures
from unnest($1::text[]) as a (app)
join lateral (
  select * from feedback_readings f where f.app = a.app order by f.started_at desc limit 1
) r on true`;

const endInterruptedSql = `
update feedback_readings r set ended_at = now(), result = 'interrupted',
  tuples = coalesce((select max(position) from feedback_tuples t where t.reading = r.id), 0)
where r.app = $1 and r.ended_at is null`;

export function createFeedback(database: Database): Feedback {
  return {
    async lastReadings(apps) {
      return (await database.query<LastReading>(lastReadingsSql, [apps])).rows;
    },
    async openReading(app, options = {}) {
      const session = await ReaderSession.open(database, app, options);
      if (session === undefined) return undefined;
      try {
        // Whoever has the lock knows that no other reader is alive.
        const id = await session.run(async (client) => {
          await client.query(endInterruptedSql, [app]);
          const inserted = await client.query<{ id: string }>(
            `insert into feedback_readings (app) select $1 where not exists (
               select from feedback_readings where app = $1 and started_at > now() - make_interval(secs => $2 / 1000.0))
             returning id`,
            [app, options.unlessYoungerThanMs ?? 0],
          );
          return inserted.rows[0]?.id;
        });
        if (id === undefined) {
          await session.close();
          return undefined;
        }
        return new FeedbackReading(database, { id, app, session }, options);
      } catch (error) {
        await session.close();
        throw error;
      }
    },
    async endInterrupted(apps) {
      const { rows } = await database.query<{ app: string }>(
        'select distinct app from feedback_readings where ended_at is null and app = any($1::text[])',
        [apps],
      );
      let ended = 0;
      for (const { app } of rows) {
        const session = await ReaderSession.open(database, app);
        if (session === undefined) continue;
        try {
          ended += (await session.run((client) => client.query(endInterruptedSql, [app]))).rowCount ?? 0;
        } finally {
          await session.close();
        }
      }
      return ended;
    },
    applyNextChunk: () => applyNextChunk(database),
    async backlog() {
      const { rows } = await database.query<{ app: string; tuples: number }>(
        `select r.app, sum(c.last_position - c.first_position + 1)::float8 as tuples
         from feedback_chunks c join feedback_readings r on r.id = c.reading group by r.app`,
      );
      return rows;
    },
  };
}
