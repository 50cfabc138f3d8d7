import type { MigrationBuilder } from 'node-pg-migrate';

// The fan-out of a broadcast may be run later, by another process: its traces find back to the request by this.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    alter table broadcasts add column traceparent text;
    comment on column broadcasts.traceparent is 'Trace context of the request, where it is sampled';
  `);
}
