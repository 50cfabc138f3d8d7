import type { MigrationBuilder } from 'node-pg-migrate';

// Keys that expire, are rotated and tell of their last use; scopes in smaller parts, of which keys that are there get
// those that they were good for. And the audit log. docs/decisions/0074-rights-and-audit.md.

export const down = false;

export function up(pgm: MigrationBuilder): void {
  pgm.sql(`
    alter table api_keys add column expires_at timestamptz, add column last_used_at timestamptz,
      add column rotated_at timestamptz, add column previous_until timestamptz,
      add column previous_hash bytea check (octet_length(previous_hash) = 32);

    comment on column api_keys.last_used_at is 'To the minute';
    comment on column api_keys.previous_hash is 'Of the key before it was rotated, which is good until previous_until';

    update api_keys set scopes = scopes
      || case when 'send' = any(scopes) then array['broadcast', 'cancel'] else '{}' end
      || case when 'read' = any(scopes) then array['exceptions'] else '{}' end
      || case when scopes && array['read', 'devices'] then array['tokens'] else '{}' end;

    create table audit_log (
      id uuid primary key,
      at timestamptz not null,
      actor_kind text not null,
      actor text,
      actor_name text,
      address text,
      request_id text,
      action text not null,
      app text,
      target text,
      before jsonb,
      after jsonb,
      result text not null
    );

    comment on column audit_log.id is 'Of version 7, so in the order of time';
    comment on column audit_log.actor is 'Id of a key, user@host of the command line; null: keys were off';
    comment on column audit_log.target is 'Id of what was changed, where it has one';
    comment on column audit_log.result is 'begun: whether it was done is not known';

    create index audit_log_by_app on audit_log (app, id);
    create index audit_log_by_actor on audit_log (actor, id);
    create index audit_log_by_action on audit_log (action, id);
    create index audit_log_by_target on audit_log (target, id);
  `);
}
