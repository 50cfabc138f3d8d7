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
      dispatched_at timestamptz
    ) with (fillfactor = 80);

    -- Read once and soon removed: compressing costs more than it saves.
    alter table events alter column payload set storage external;

    create index events_undispatched on events (id) where dispatched_at is null;

    create table told_once (
      key text primary key,
      at timestamptz not null default now()
    );

    comment on table told_once is 'What several processes see and one tells: an event is written with its key, or not at all';
  `);
}
