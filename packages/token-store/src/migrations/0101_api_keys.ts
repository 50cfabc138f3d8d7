import type { MigrationBuilder } from 'node-pg-migrate';

// Keys of the HTTP API. Only their hashes are kept: 256 random bits need no salt and no slow hash.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table api_keys (
      id text primary key,
      name text not null unique,
      hash bytea not null check (octet_length(hash) = 32),
      apps text[],
      scopes text[] not null,
      rate_per_second integer,
      created_at timestamptz not null default now(),
      revoked_at timestamptz
    );

    comment on column api_keys.hash is 'SHA-256 of the whole key';
    comment on column api_keys.apps is 'Null: all apps';
  `);
}
