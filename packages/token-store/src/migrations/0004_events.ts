import type { MigrationBuilder } from 'node-pg-migrate';

// Outbox: an event is written in the transaction of what it tells. Whoever passes events on takes undispatched rows
// with FOR UPDATE SKIP LOCKED and sets dispatched_at; order of commit does not matter then.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table events (
      id bigint generated always as identity primary key,
      app text not null,
      kind text not null,
      payload jsonb not null,
      created_at timestamptz not null default now(),
      dispatched_at timestamptz,
      once text unique
    ) with (fillfactor = 80);

    comment on column events.once is 'Where several processes may tell the same thing: the second insert does nothing';

    create index events_undispatched on events (id) where dispatched_at is null;
  `);
}
