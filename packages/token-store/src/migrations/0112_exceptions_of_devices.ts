import type { MigrationBuilder } from 'node-pg-migrate';

// What became of what was sent to a device, found by its token. A hash index: tokens are long and of no order, and nothing
// but equality is asked. While it is made, outcome reports wait in Redis.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql('create index exceptions_by_token on exceptions using hash (token)');
}
