import type { MigrationBuilder } from 'node-pg-migrate';

// Broadcasts: what is sent to whom, and how far the fan-out has come. A chunk is a run of the key of devices; it is
// written down (pending_token) before it is enqueued, so that whoever goes on after a crash means the same run.
// docs/decisions/0040-broadcasts.md argues why every device gets it once.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table uploads (
      id uuid primary key,
      app text not null,
      created_at timestamptz not null default now(),
      users integer not null
    );

    create table upload_users (
      upload uuid not null,
      user_id text not null,
      primary key (upload, user_id)
    );

    create table broadcasts (
      id uuid primary key,
      app text not null,
      lane text not null,
      delivery jsonb not null,
      audience jsonb not null,
      state text not null default 'running',
      error text,
      created_at timestamptz not null default now(),
      start_at timestamptz not null,
      spread_over_ms bigint,
      started_at timestamptz,
      finished_at timestamptz,
      devices bigint,
      chunk integer not null default 0,
      after_token bytea not null default '',
      pending_token bytea,
      enqueued bigint not null default 0,
      lease_owner text,
      lease_until timestamptz not null default '-infinity',
      idempotency_key text,
      fingerprint text,
      unique (app, idempotency_key)
    ) with (fillfactor = 70);

    comment on column broadcasts.after_token is 'Devices up to here have been enqueued';
    comment on column broadcasts.pending_token is 'The next chunk reaches up to here; it may have been enqueued';

    create index broadcasts_to_run on broadcasts (start_at) where state = 'running';
    create index broadcasts_by_app on broadcasts (app, created_at);

    create table broadcast_chunks (
      broadcast uuid not null,
      chunk integer not null,
      batch uuid not null,
      count integer not null,
      primary key (broadcast, chunk)
    );
  `);
}
