import type { MigrationBuilder } from 'node-pg-migrate';

// What became of batches, by exception. Keys are UUIDs of version 7: their order is the order of time, so retention
// deletes a range at the front of the primary keys and needs no index of its own.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table batches (
      id uuid primary key,
      app text not null,
      lane text not null,
      size integer not null,
      enqueued_at timestamptz not null,
      accepted_proved integer not null default 0,
      accepted_presumed integer not null default 0,
      rejected integer not null default 0,
      expired integer not null default 0,
      cancelled integer not null default 0,
      dead integer not null default 0,
      resent_uncertain integer not null default 0,
      first_settled_at timestamptz not null,
      last_settled_at timestamptz not null,
      finished_at timestamptz
    ) with (fillfactor = 70);

    create table batch_jobs (
      batch uuid not null,
      first_index bigint not null,
      count integer not null,
      accepted_proved integer not null,
      accepted_presumed integer not null,
      rejected integer not null,
      expired integer not null,
      cancelled integer not null,
      dead integer not null,
      resent_uncertain integer not null,
      settled_at timestamptz not null,
      primary key (batch, first_index)
    );

    create table exceptions (
      batch uuid not null,
      index bigint not null,
      app text not null,
      token bytea not null,
      outcome text not null,
      reason text not null,
      status integer,
      at timestamptz not null,
      primary key (batch, index)
    );

    create table unreadable_reports (
      id bigint generated always as identity primary key,
      app text not null,
      entry text not null,
      report text not null,
      error text not null,
      at timestamptz not null default now(),
      unique (app, entry)
    );
  `);
}
