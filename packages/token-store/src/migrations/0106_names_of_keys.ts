import type { MigrationBuilder } from 'node-pg-migrate';

// The name of a key that was revoked can be used again.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    alter table api_keys drop constraint api_keys_name_key;
    create unique index api_keys_by_name on api_keys (name) where revoked_at is null;
  `);
}
