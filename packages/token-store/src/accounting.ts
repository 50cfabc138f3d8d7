import type { Database } from './database.ts';

/** What Redis says of an app's lane since the app first sent. */
export interface FleetTotals {
  readonly app: string;
  readonly lane: string;
  readonly enqueued: number;
  readonly acceptedProved: number;
  readonly acceptedPresumed: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

/** One line of the view `accounting`: what was enqueued and what was forgotten are the sum of all others. */
export interface AccountingLine extends FleetTotals {
  /** Without an outcome. */
  readonly stillQueued: number;
  /** With an outcome whose report is on its way to Postgres. */
  readonly notYetApplied: number;
  /** When Redis was asked. */
  readonly readAt: Date;
  /** Outcomes that Postgres has and Redis does not know any more; 0 unless Redis came back without its last writes. */
  readonly forgotten: number;
  /** What happened and what to do; null: all is well. */
  readonly advice: string | null;
}

/** Outcomes in Postgres, by `<app>/<lane>`. */
export type AppliedTotals = ReadonlyMap<string, number>;

/** Outcomes of a lane that Redis has forgotten. */
export interface ForgottenTotals {
  readonly app: string;
  readonly lane: string;
  readonly forgotten: number;
}

/** The accounting identity. Every method throws TokenStoreError. */
export interface Accounting {
  /**
   * How many outcomes have been applied, by app and lane. To be asked before Redis is: what it knew then it has counted,
   * unless it forgot.
   */
  applied(): Promise<AppliedTotals>;
  /**
   * Writes down what Redis says; an older word does not replace a newer one. Returns the apps of which Redis has forgotten
   * more than before.
   * @param applied As it was before Redis was asked
   */
  store(totals: readonly FleetTotals[], readAt: Date, applied?: AppliedTotals): Promise<ForgottenTotals[]>;
  read(): Promise<AccountingLine[]>;
  /** Ids of batches whose counts, push jobs and exceptions do not agree: none. */
  inconsistentBatches(): Promise<string[]>;
}

const counts = [
  'enqueued',
  'accepted_proved',
  'accepted_presumed',
  'rejected',
  'expired',
  'cancelled',
  'dead',
];

const columns = [...counts, 'forgotten'];
const outcomesSql = counts.slice(1).join(' + ');

const storeSql = `
with input as materialized (
  select * from jsonb_to_recordset($1::jsonb) as r (
    app text, lane text, ${columns.map((column) => `${column} bigint`).join(', ')}
  )
), old as materialized (
  select f.app, f.lane, f.forgotten from fleet_totals f join input using (app, lane)
), stored as (
  insert into fleet_totals as f (app, lane, ${columns.join(', ')}, read_at)
  select app, lane, ${columns.join(', ')}, $2 from input order by app, lane
  on conflict (app, lane) do update set
    ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}, read_at = excluded.read_at
  where f.read_at < excluded.read_at
  returning app, lane, forgotten
)
select app, lane, s.forgotten::float8 as forgotten from stored s left join old o using (app, lane)
where s.forgotten > coalesce(o.forgotten, 0)`;

export function createAccounting(database: Database): Accounting {
  return {
    async applied() {
      const { rows } = await database.query<{ key: string; sum: number }>(
        `select app || '/' || lane as key, (${outcomesSql})::float8 as sum from app_totals`,
      );
      return new Map(rows.map(({ key, sum }) => [key, sum]));
    },
    async store(totals, readAt, applied = new Map()) {
      const input = totals.map((line) => {
        const { acceptedProved, acceptedPresumed, rejected, expired, cancelled, dead } = line;
        const settled = acceptedProved + acceptedPresumed + rejected + expired + cancelled + dead;
        return {
          ...line,
          accepted_proved: acceptedProved,
          accepted_presumed: acceptedPresumed,
          forgotten: Math.max(0, (applied.get(`${line.app}/${line.lane}`) ?? 0) - settled),
        };
      });
      const { rows } = await database.query<ForgottenTotals>(storeSql, [JSON.stringify(input), readAt]);
      return rows;
    },
    async read() {
      const { rows } = await database.query<AccountingLine>(
        `select app, lane, enqueued::float8, accepted_proved::float8 as "acceptedProved",
           accepted_presumed::float8 as "acceptedPresumed", rejected::float8, expired::float8, cancelled::float8,
           dead::float8, still_queued::float8 as "stillQueued", not_yet_applied::float8 as "notYetApplied",
           read_at as "readAt", forgotten::float8, advice
         from accounting order by app, lane`,
      );
      return rows;
    },
    async inconsistentBatches() {
      const { rows } = await database.query<{ id: string }>(
        'select id from inconsistent_batches order by id',
      );
      return rows.map(({ id }) => id);
    },
  };
}
