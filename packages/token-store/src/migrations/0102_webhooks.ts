import type { MigrationBuilder } from 'node-pg-migrate';

// Webhooks, and what is to be delivered to them. Deliveries are a queue: they are made in the statement that takes
// their event from the outbox, and each waits for its time.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    create table webhooks (
      id uuid primary key,
      app text not null,
      url text not null,
      kinds text[],
      secret bytea not null,
      active boolean not null default true,
      created_at timestamptz not null default now()
    );

    comment on column webhooks.kinds is 'Null: all';
    comment on column webhooks.secret is 'Signs what is delivered, so it has to be kept as it is';

    create index webhooks_by_app on webhooks (app);

    create table webhook_deliveries (
      id bigint generated always as identity primary key,
      webhook uuid not null references webhooks on delete cascade,
      event bigint not null,
      kind text not null,
      payload jsonb not null,
      occurred_at timestamptz not null,
      state text not null default 'pending',
      attempts integer not null default 0,
      next_attempt_at timestamptz not null default now(),
      last_status integer,
      last_error text,
      settled_at timestamptz,
      unique (webhook, event)
    ) with (fillfactor = 70);

    create index webhook_deliveries_due on webhook_deliveries (webhook, next_attempt_at) where state = 'pending';
    create index webhook_deliveries_by_time on webhook_deliveries (webhook, id);
  `);
}
