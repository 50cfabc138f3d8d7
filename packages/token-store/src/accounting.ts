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

/** One line of the view `accounting`: enqueued is the sum of all others. */
export interface AccountingLine extends FleetTotals {
  /** Without an outcome. */
  readonly stillQueued: number;
  /** With an outcome whose report is on its way to Postgres. */
  readonly notYetApplied: number;
  /** When Redis was asked. */
  readonly readAt: Date;
}

/** The accounting identity. Every method throws TokenStoreError. */
export interface Accounting {
  /** Writes down what Redis says; an older word does not replace a newer one. */
  store(totals: readonly FleetTotals[], readAt: Date): Promise<void>;
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

const storeSql = `
insert into fleet_totals as f (app, lane, ${counts.join(', ')}, read_at)
select app, lane, ${counts.join(', ')}, $2 from jsonb_to_recordset($1::jsonb) as r (
  app text, lane text, ${counts.map((count) => `${count} bigint`).join(', ')}
) order by app, lane
on conflict (app, lane) do update set
  ${counts.map((count) => `${count} = excluded.${count}`).join(', ')}, read_at = excluded.read_at
where f.read_at < excluded.read_at`;

export function createAccounting(database: Database): Accounting {
  return {
    async store(totals, readAt) {
      const input = totals.map((line) => ({
        ...line,
        accepted_proved: line.acceptedProved,
        accepted_presumed: line.acceptedPresumed,
      }));
      await database.query(storeSql, [JSON.stringify(input), readAt]);
    },
    async read() {
      const { rows } = await database.query<AccountingLine>(
        `select app, lane, enqueued::float8, accepted_proved::float8 as "acceptedProved",
           accepted_presumed::float8 as "acceptedPresumed", rejected::float8, expired::float8, cancelled::float8,
           dead::float8, still_queued::float8 as "stillQueued", not_yet_applied::float8 as "notYetApplied",
           read_at as "readAt"
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
