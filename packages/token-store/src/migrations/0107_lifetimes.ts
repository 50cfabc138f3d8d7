import type { MigrationBuilder } from 'node-pg-migrate';

// What stays has a parent, and goes with it: the row of an upload is there before its users. What Redis forgot is told
// apart from what is on its way.

export const down = false;

const outcomes = ['accepted_proved', 'accepted_presumed', 'rejected', 'expired', 'cancelled', 'dead'];
const sum = (table: string) => `(${outcomes.map((outcome) => `${table}.${outcome}`).join(' + ')})`;
// Outcomes that are on their way here; below 0: so many have come about and been applied since Redis was asked, so
// that they are neither queued any more nor on their way.
const onTheWay = `(${sum('f')} + f.forgotten - coalesce(${sum('t')}, 0))`;
const queued = `(f.enqueued - ${sum('f')} + least(0, ${onTheWay}))`;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    alter table uploads add column complete boolean not null default true;
    comment on column uploads.complete is 'False: its users are still coming, or whoever was taking them is gone';

    -- Users whose producer was killed.
    insert into uploads (id, app, users, complete)
    select distinct u.upload, '', 0, false from upload_users u
    where not exists (select from uploads p where p.id = u.upload);

    -- Devices that are gone leave nothing personal.
    update device_changes c set detail = null
    where kind = 'moved' and not exists (select from devices d where d.app = c.app and d.token = c.token);

    alter table fleet_totals add column forgotten bigint not null default 0;
    comment on column fleet_totals.forgotten is
      'Outcomes that were applied here before read_at, and that Redis did not know any more at read_at';

    create or replace view accounting as
    select f.app, f.lane, f.enqueued - least(0, ${queued}) as enqueued, ${outcomes.map((outcome) => `coalesce(t.${outcome}, 0) as ${outcome}`).join(', ')},
      greatest(0, ${queued}) as still_queued,
      greatest(0, ${onTheWay}) as not_yet_applied,
      f.read_at, f.forgotten,
      case when f.forgotten > 0 then 'Redis came back without ' || f.forgotten || ' outcomes that are known here '
        || '(lost writes, a restored copy, FLUSHALL): what was queued then may be gone, and what was settled may be '
        || 'sent again. See docs/runbook.md, "Redis forgot"' end as advice
    from fleet_totals f left join app_totals t using (app, lane);

    comment on view accounting is
      'enqueued + forgotten = accepted_proved + accepted_presumed + rejected + expired + cancelled + dead + still_queued + not_yet_applied, as of read_at; outcome reports that are on their way are not yet applied';
  `);
}
