import type { MigrationBuilder } from 'node-pg-migrate';

// Sends to users that are to go out later. Whose devices they reach is found when they do.
// docs/decisions/0045-late-binding.md.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table scheduled_sends (
      id uuid primary key,
      app text not null,
      lane text not null,
      call json,
      size integer not null,
      send_at timestamptz not null,
      state text not null default 'waiting',
      created_at timestamptz not null default now(),
      cancel_requested_at timestamptz,
      settled_at timestamptz,
      error text,
      users_without_devices text[],
      lease_owner text,
      lease_until timestamptz not null default '-infinity'
    ) with (fillfactor = 70);

    comment on column scheduled_sends.id is 'Of the batch that it is enqueued as';
    comment on column scheduled_sends.call is 'What is sent to whom, as it was asked for (not jsonb, which changes text); null once it has gone out';
    comment on column scheduled_sends.size is 'Notifications asked for; a user is one';
    comment on column scheduled_sends.state is 'waiting, cancelling; and then enqueued, cancelled or failed';

    create index scheduled_sends_due on scheduled_sends (send_at) where state in ('waiting', 'cancelling');
  `);
}
