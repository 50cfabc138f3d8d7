import type { MigrationBuilder } from 'node-pg-migrate';

// Apple: make no assumption about the size of device tokens. The 100 bytes were those of the binary protocol.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  // Not validated: every row satisfies the narrower check that it replaces, and the table may be large.
  pgm.sql(`
    alter table devices drop constraint devices_token_check;
    alter table devices add constraint devices_token_check check (octet_length(token) between 1 and 512) not valid;
  `);
}
