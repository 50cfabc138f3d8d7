import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** From a millisecond to an hour: an idle lane and a backlog both fall within. */
const delayBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600];
const lifetimeBuckets = [1, 10, 60, 300, 1_800, 3_600, 14_400, 86_400];

export type WorkerMetrics = ReturnType<typeof createWorkerMetrics>;

/**
 * The metrics of a worker. Their names and labels are what rules and dashboards stand on.
 * @param collect Called before each scrape, to set what is true at the moment.
 */
export function createWorkerMetrics(register: Registry, collect: () => void = () => undefined) {
  const registers = [register];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `pushfleet_${name}`, help, labelNames: [...labelNames], registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({ name: `pushfleet_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: readonly number[],
  ) =>
    new Histogram({
      name: `pushfleet_${name}`,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers,
    });

  return {
    written: counter('written_notifications_total', 'Notifications handed to a socket; replays count again', [
      'app',
      'lane',
      'transport',
    ]),
    settled: counter('settled_notifications_total', 'Notifications that reached an outcome', [
      'app',
      'lane',
      'transport',
      'outcome',
    ]),
    rejections: counter('rejections_total', 'Notifications that the gateway refused for good', [
      'app',
      'reason',
    ]),
    replayed: counter(
      'replayed_notifications_total',
      'Notifications sent again after the gateway discarded them',
      ['app'],
    ),
    uncertain: counter('uncertain_notifications_total', 'Notifications of which nobody can know', [
      'app',
      'cause',
    ]),
    retried: counter('retried_notifications_total', 'Notifications put off to be tried again', ['app']),
    errorResponses: counter('error_responses_total', 'Error responses of the gateway', ['app', 'status']),
    lateErrorResponses: counter(
      'late_error_responses_total',
      'Error responses for notifications that silence had settled already',
      ['app'],
    ),
    wronglyPresumed: counter(
      'wrongly_presumed_notifications_total',
      'Notifications that silence had settled as accepted, and that the gateway had refused or discarded',
      ['app'],
    ),
    unconfirmedPresumed: counter(
      'unconfirmed_presumed_notifications_total',
      'Notifications that silence had settled as accepted on connections that were asked for a proof and gave none',
      ['app'],
    ),
    inFlight: new Gauge({
      name: 'pushfleet_in_flight_notifications',
      help: 'Notifications handed over and not settled',
      labelNames: ['app'],
      registers,
      collect,
    }),
    occupancy: gauge('window_occupancy_ratio', 'Share of the in-flight windows in use', ['app']),
    connections: gauge('connections', 'State of the transport; open: its connections', ['app', 'state']),
    connectionsWanted: gauge(
      'connections_wanted',
      'Connections that are wanted: the least, one reserved for a lane, or more, by what there is too little of on those there are',
      ['app', 'reason'],
    ),
    opened: counter(
      'connections_opened_total',
      'Connections that were opened, with a full TLS handshake or an earlier session',
      ['app', 'tls'],
    ),
    roundTrip: gauge(
      'connection_round_trip_seconds',
      'There and back between this worker and the gateway, the longest of its connections; HTTP/2',
      ['app'],
    ),
    streamsInUse: gauge('streams_in_use', 'Requests that wait for their answers, all connections; HTTP/2', [
      'app',
    ]),
    streamsAllowed: gauge('streams_allowed', 'Requests that may wait for their answers at a time; HTTP/2', [
      'app',
    ]),
    windowLeft: gauge(
      'flow_control_window_bytes',
      'What the gateway allows to be sent now, payloads, all connections; HTTP/2',
      ['app'],
    ),
    lifetime: histogram(
      'connection_lifetime_seconds',
      'How long connections lived, by what ended them',
      ['app', 'end'],
      lifetimeBuckets,
    ),
    closed: counter('connections_closed_total', 'Connections that ended', ['app', 'end']),
    paused: gauge('app_paused', 'Whether an app is paused, by cause', ['app', 'cause']),
    unable: gauge(
      'worker_app_unable',
      'Whether this worker takes nothing of an app, by what keeps it from it',
      ['app', 'cause'],
    ),
    slowed: gauge(
      'app_slowed',
      'Whether this worker sends only probes of an app, by what the trouble of the gateway is',
      ['app', 'cause'],
    ),
    slowedSince: gauge(
      'app_slowed_since_timestamp_seconds',
      'Since when this worker sends only probes of an app, epoch seconds; 0: it does not',
      ['app'],
    ),
    enqueueToWritten: histogram(
      'enqueue_to_written_seconds',
      'From enqueueing, or the scheduled time, to the first write; one observation for each push job',
      ['app', 'lane'],
      delayBuckets,
    ),
    enqueueToSettled: histogram(
      'enqueue_to_settled_seconds',
      'From enqueueing, or the scheduled time, to the last outcome; one observation for each push job',
      ['app', 'lane'],
      delayBuckets,
    ),
    jobWait: histogram(
      'job_wait_seconds',
      'From enqueueing, or the scheduled time, until a worker first took the push job',
      ['app', 'lane'],
      delayBuckets,
    ),
    jobsTaken: counter('jobs_taken_total', 'Push jobs taken, again after retries and crashes', [
      'app',
      'lane',
    ]),
    jobsActive: gauge('jobs_active', 'Push jobs that this worker holds', ['app', 'lane']),
    rateLimited: gauge(
      'lane_rate_limited',
      'Whether push jobs of a lane wait here for the rate of their app (`rate`)',
      ['app', 'lane'],
    ),
    credentialExpiry: gauge(
      'credential_expiry_timestamp_seconds',
      'When the certificate of an app expires, epoch seconds; 0 for a provider key',
      ['app'],
    ),
    providerTokenAge: gauge('provider_token_age_seconds', 'Age of the provider token in use', ['app']),
  };
}
