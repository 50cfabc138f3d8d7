-- Roles are made once; the grants below may be repeated at every release.
do $$ begin
  create role pushfleet_producer login password 'change me';
exception when duplicate_object then null; end $$;
do $$ begin
  create role pushfleet_sweeper login password 'change me';
exception when duplicate_object then null; end $$;

grant usage on schema public to pushfleet_producer, pushfleet_sweeper;
grant select on pushfleet_migrations to pushfleet_producer, pushfleet_sweeper;

-- Registers devices; reads what became of batches; broadcasts, webhooks, keys.
grant select, insert, update, delete on devices to pushfleet_producer;
grant select, insert, update on device_changes to pushfleet_producer;
grant select on batches, batch_jobs, exceptions to pushfleet_producer;
grant select, insert, update on events to pushfleet_producer;
grant select on app_credentials to pushfleet_producer;
grant select, insert, update, delete on
  broadcasts, broadcast_chunks, scheduled_sends, scheduled_totals, uploads, upload_users, webhooks, webhook_deliveries,
  api_keys to pushfleet_producer;
-- What is in the audit log stays there; only what came of a change that was begun is added.
grant select, insert, update (before, after, result) on audit_log to pushfleet_producer;

-- Applies reports and feedback; removes what is old.
grant select, insert, update, delete on
  batches, batch_jobs, exceptions, feedback_readings, feedback_tuples, feedback_chunks, unreadable_reports, events
  to pushfleet_sweeper;
grant select, update, delete on devices to pushfleet_sweeper;
grant select, insert, update, delete on device_changes to pushfleet_sweeper;
grant select, insert, update on app_totals, fleet_totals, told_once, maintenance, app_credentials to pushfleet_sweeper;
grant delete on told_once to pushfleet_sweeper;
grant select, delete on broadcasts, broadcast_chunks, scheduled_sends, uploads, upload_users, webhook_deliveries, audit_log
  to pushfleet_sweeper;

-- For dashboards and people.
grant select on accounting, inconsistent_batches to pushfleet_producer, pushfleet_sweeper;
