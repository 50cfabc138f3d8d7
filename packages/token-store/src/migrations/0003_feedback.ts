import type { MigrationBuilder } from 'node-pg-migrate';

// The feedback service, as it was read: raw tuples are stored before anything acts on them, and with each chunk of them
// a row that says that it is still to be applied. That row goes in the transaction that applies the chunk: a million
// tuples are applied without a million updates here, by as many at a time as want to.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table feedback_readings (
      id bigint generated always as identity primary key,
      app text not null,
      started_at timestamptz not null default now(),
      ended_at timestamptz,
      result text,
      detail text,
      tuples integer not null default 0,
      applied integer not null default 0,
      deactivated integer not null default 0,
      kept integer not null default 0,
      inactive integer not null default 0,
      unknown integer not null default 0,
      absurd integer not null default 0,
      repeated integer not null default 0,
      remainder bytea
    ) with (fillfactor = 70);

    create index feedback_readings_by_app on feedback_readings (app, started_at);
    create index feedback_readings_open on feedback_readings (id) where ended_at is null;

    create table feedback_tuples (
      reading bigint not null,
      position integer not null,
      time bigint not null,
      token bytea not null,
      primary key (reading, position)
    );

    create table feedback_chunks (
      reading bigint not null,
      first_position integer not null,
      last_position integer not null,
      primary key (reading, first_position)
    );

    comment on column feedback_tuples.time is 'Epoch seconds, as the feedback service sent it';
  `);
}
