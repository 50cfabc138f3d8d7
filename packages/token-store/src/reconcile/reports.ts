import type { OutcomeReport } from '@pushfleet/push-queue/report';
import type { Database } from '../database.ts';
import { storableText } from '../storable-text.ts';
import { type AppliedReports, type ApplyOptions, applyReports } from './apply-reports.ts';

/** A report that is none, or that Postgres does not take: kept, so that somebody can look at it. */
export interface UnreadableReport {
  readonly app: string;
  /** Its id in the stream. */
  readonly entry: string;
  readonly report: string;
  readonly error: string;
}

/** Outcome reports. Every method throws TokenStoreError. */
export interface Reports {
  /** Applies reports in one transaction; those that have been applied before change nothing. */
  apply(reports: readonly OutcomeReport[], options?: ApplyOptions): Promise<AppliedReports>;
  setAside(reports: readonly UnreadableReport[]): Promise<void>;
  /** What was set aside, in order. `after`: the id after which to begin. */
  listSetAside(after: string | undefined, limit: number): Promise<(UnreadableReport & { id: string })[]>;
  /** For those that have been applied after all. */
  forgetSetAside(ids: readonly string[]): Promise<void>;
}

export function createReports(database: Database): Reports {
  return {
    apply: (reports, options) => applyReports(database, reports, options),
    async setAside(reports) {
      await database.query(
        `insert into unreadable_reports (app, entry, report, error)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) on conflict do nothing`,
        [
          reports.map(({ app }) => app),
          reports.map(({ entry }) => entry),
          reports.map(({ report }) => storableText(report)),
          reports.map(({ error }) => storableText(error)),
        ],
      );
    },
    async listSetAside(after, limit) {
      const { rows } = await database.query<UnreadableReport & { id: string }>(
        'select id::text, app, entry, report, error from unreadable_reports where id > $1 order by id limit $2',
        [after ?? 0, limit],
      );
      return rows;
    },
    async forgetSetAside(ids) {
      await database.query('delete from unreadable_reports where id = any($1::bigint[])', [ids]);
    },
  };
}
