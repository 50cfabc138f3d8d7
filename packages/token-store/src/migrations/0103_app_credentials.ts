import type { MigrationBuilder } from 'node-pg-migrate';

// What the sweepers, who have the apps' credentials, tell producers, who have not.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table app_credentials (
      app text primary key,
      expires_at timestamptz,
      seen_at timestamptz not null default now()
    );

    comment on column app_credentials.expires_at is 'Of the certificate; null: of a key, which does not expire';
  `);
}
