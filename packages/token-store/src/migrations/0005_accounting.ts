import type { MigrationBuilder } from 'node-pg-migrate';

// The accounting identity as a query. `app_totals` rises in the transaction that applies a report and outlives the
// retention of batches; `fleet_totals` is what Redis says of the same, which counts where it happens.

export const down = false;

const outcomes = ['accepted_proved', 'accepted_presumed', 'rejected', 'expired', 'cancelled', 'dead'];
const columns = outcomes.map((outcome) => `${outcome} bigint not null default 0`).join(', ');
const sum = (table: string) => `(${outcomes.map((outcome) => `${table}.${outcome}`).join(' + ')})`;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table app_totals (
      app text not null, lane text not null, ${columns}, primary key (app, lane)
    ) with (fillfactor = 50);

    create table fleet_totals (
      app text not null, lane text not null, enqueued bigint not null, ${columns}, read_at timestamptz not null,
      primary key (app, lane)
    ) with (fillfactor = 50);

    create view accounting as
    select f.app, f.lane, f.enqueued, ${outcomes.map((outcome) => `coalesce(t.${outcome}, 0) as ${outcome}`).join(', ')},
      f.enqueued - ${sum('f')} as still_queued,
      ${sum('f')} - coalesce(${sum('t')}, 0) as not_yet_applied,
      f.read_at
    from fleet_totals f left join app_totals t using (app, lane);

    comment on view accounting is
      'enqueued = accepted_proved + accepted_presumed + rejected + expired + cancelled + dead + still_queued + not_yet_applied, as of read_at; outcome reports that are on their way are not yet applied';

    create view inconsistent_batches as
    with jobs as (
      select batch, sum(count) as settled, ${outcomes.map((outcome) => `sum(${outcome}) as ${outcome}`).join(', ')}
      from batch_jobs group by batch
    ), told as (
      select batch, ${outcomes
        .slice(2)
        .map((outcome) => `count(*) filter (where outcome = '${outcome}') as ${outcome}`)
        .join(', ')}
      from exceptions group by batch
    )
    select b.* from batches b left join jobs j on j.batch = b.id left join told e on e.batch = b.id
    where (${outcomes.map((outcome) => `b.${outcome}`).join(', ')})
        is distinct from (${outcomes.map((outcome) => `j.${outcome}`).join(', ')})
      or j.settled is distinct from ${sum('j')}
      or (${outcomes
        .slice(2)
        .map((outcome) => `b.${outcome}::bigint`)
        .join(', ')})
        is distinct from (${outcomes
          .slice(2)
          .map((outcome) => `coalesce(e.${outcome}, 0)`)
          .join(', ')})
      or ${sum('b')} > b.size;

    comment on view inconsistent_batches is
      'Batches whose counts, push jobs and exceptions do not agree: there are none';

    create table maintenance (
      name text primary key,
      started_at timestamptz not null
    );
  `);
}
