import type { MigrationBuilder } from 'node-pg-migrate';

// What each app has waiting among the scheduled sends: looking at all of them for each new one would take too long.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    alter table scheduled_sends add column bytes integer not null default 0;
    comment on column scheduled_sends.bytes is 'Of call';

    create table scheduled_totals (
      app text primary key,
      notifications bigint not null,
      bytes bigint not null
    ) with (fillfactor = 50);

    insert into scheduled_totals
    select app, sum(size), 0 from scheduled_sends where state in ('waiting', 'cancelling') group by app;
  `);
}
