import type { MigrationBuilder } from 'node-pg-migrate';

// Devices and their history. docs/decisions/0030-device-table.md argues the indexes and fillfactors: nothing that a
// refresh or a deactivation changes is indexed, so that both are HOT updates.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table devices (
      app text not null,
      token bytea not null check (octet_length(token) between 1 and 100),
      user_id text,
      tags text[] not null default '{}',
      locale text,
      time_zone text,
      registered_at timestamptz not null,
      created_at timestamptz not null,
      active boolean not null default true,
      deactivated_at timestamptz,
      deactivated_source text,
      deactivated_status integer,
      evidence_at timestamptz,
      primary key (app, token)
    ) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

    comment on column devices.registered_at is 'When the app last registered the token, on the database''s clock';
    comment on column devices.evidence_at is 'The time that registered_at was older than: of the feedback tuple, of the 410, of the enqueueing';

    create index devices_by_user on devices (app, user_id) where user_id is not null;

    create table device_changes (
      id bigint generated always as identity,
      app text not null,
      token bytea not null,
      at timestamptz not null default now(),
      kind text not null,
      source text,
      status integer,
      evidence_at timestamptz,
      detail jsonb,
      primary key (app, token, id)
    );
  `);
}
