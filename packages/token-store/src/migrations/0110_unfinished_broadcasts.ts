import type { MigrationBuilder } from 'node-pg-migrate';

// What was begun and is to be finished: cancellations of broadcasts, chunks that may have been enqueued, and what was told
// of pauses that have not ended.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create index broadcasts_to_settle on broadcasts (lease_until)
      where state = 'cancelling' or (state = 'paused' and pending_token is not null and lease_owner is not null);

    alter table told_once add column payload jsonb;
    comment on column told_once.payload is 'What was told, where its end is to be told as well';
  `);
}
