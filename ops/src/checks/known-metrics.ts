/** Every metric of the services, as rules and dashboards may name it (docs/operations.md lists their labels). */
export const knownMetrics: ReadonlySet<string> = new Set([
  // worker
  'pushfleet_written_notifications_total',
  'pushfleet_settled_notifications_total',
  'pushfleet_rejections_total',
  'pushfleet_replayed_notifications_total',
  'pushfleet_uncertain_notifications_total',
  'pushfleet_retried_notifications_total',
  'pushfleet_error_responses_total',
  'pushfleet_late_error_responses_total',
  'pushfleet_wrongly_presumed_notifications_total',
  'pushfleet_in_flight_notifications',
  'pushfleet_window_occupancy_ratio',
  'pushfleet_connections',
  ...histogram('pushfleet_connection_lifetime_seconds'),
  'pushfleet_connections_closed_total',
  'pushfleet_app_paused',
  ...histogram('pushfleet_enqueue_to_written_seconds'),
  ...histogram('pushfleet_enqueue_to_settled_seconds'),
  ...histogram('pushfleet_job_wait_seconds'),
  'pushfleet_jobs_taken_total',
  'pushfleet_jobs_active',
  'pushfleet_credential_expiry_timestamp_seconds',
  'pushfleet_provider_token_age_seconds',
  // producer
  'pushfleet_enqueued_notifications_total',
  ...histogram('pushfleet_group_commit_notifications'),
  ...histogram('pushfleet_http_request_duration_seconds'),
  'pushfleet_enqueue_refused_total',
  'pushfleet_broadcast_devices_total',
  'pushfleet_webhook_deliveries_total',
  // sweeper
  'pushfleet_reports_applied_total',
  'pushfleet_reports_set_aside_total',
  'pushfleet_feedback_backlog_tuples',
  'pushfleet_outcome_backlog_reports',
  'pushfleet_outcome_backlog_age_seconds',
  'pushfleet_feedback_tuples_total',
  'pushfleet_feedback_readings_total',
  'pushfleet_device_deactivations_total',
  'pushfleet_fleet_enqueued_notifications_total',
  'pushfleet_fleet_settled_notifications_total',
  'pushfleet_queue_jobs',
  'pushfleet_queue_oldest_age_seconds',
  'pushfleet_dead_letters',
  'pushfleet_dead_letter_bytes',
  'pushfleet_dead_letters_trimmed_total',
  'pushfleet_redis_memory_used_bytes',
  'pushfleet_redis_memory_limit_bytes',
  // prom-client's own, of every service
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_heap_size_used_bytes',
  ...histogram('nodejs_gc_duration_seconds'),
  // Prometheus' own
  'up',
  'ALERTS',
]);

function histogram(name: string): string[] {
  return ['_bucket', '_sum', '_count'].map((suffix) => name + suffix);
}
