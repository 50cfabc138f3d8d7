import { type EnqueueSource, type Lane, lanes, type PushQueueObserver } from '@pushfleet/push-queue';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { ProblemCode } from './http/problem.ts';
import { RequestDurations, type RequestObserver } from './request-durations.ts';
import { type DeliveryResult, deliveryResults } from './webhooks/webhook-runner.ts';

/** How notifications came in, by how the push queue was given them. */
const sources = { single: 'single', batch: 'batch', tokens: 'broadcast' } as const satisfies Readonly<
  Record<EnqueueSource, string>
>;

/** What the producer counts. Closed label sets, all at zero from the start. */
export interface ProducerMetrics {
  readonly observer: PushQueueObserver;
  /** Of the requests of one route. */
  observerOf(method: string, route: string): RequestObserver;
  enqueueRefused(code: ProblemCode): void;
  broadcastDevices(app: string, devices: number): void;
  webhookDelivery(app: string, result: DeliveryResult): void;
  /** In Redis, on their way to Postgres. */
  readonly auditEntriesWaiting: (entries: number) => void;
}

const refusals = [
  'invalid-notification',
  'unknown-app',
  'idempotency-conflict',
  'backpressure',
  'quota-exceeded',
  'redis-unavailable',
  'redis-timeout',
  'stopping',
] as const satisfies readonly ProblemCode[];

export function createProducerMetrics(register: Registry, apps: readonly string[]): ProducerMetrics {
  const registers = [register];
  const enqueued = new Counter({
    name: 'pushfleet_enqueued_notifications_total',
    help: 'Notifications that this process has written to Redis',
    labelNames: ['app', 'lane', 'source'],
    registers,
  });
  const groups = new Histogram({
    name: 'pushfleet_group_commit_notifications',
    help: 'Single sends that one push job was made of',
    labelNames: ['app', 'lane'],
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
    registers,
  });
  const requests = new RequestDurations(register);
  const refused = new Counter({
    name: 'pushfleet_enqueue_refused_total',
    help: 'Requests to send that were refused',
    labelNames: ['code'],
    registers,
  });
  const broadcastDevices = new Counter({
    name: 'pushfleet_broadcast_devices_total',
    help: 'Devices that the fan-out of broadcasts has enqueued',
    labelNames: ['app'],
    registers,
  });
  const webhookDeliveries = new Counter({
    name: 'pushfleet_webhook_deliveries_total',
    help: 'Attempts to deliver an event to a webhook, by how they ended',
    labelNames: ['app', 'result'],
    registers,
  });
  const auditEntries = new Gauge({
    name: 'pushfleet_audit_entries_waiting',
    help: 'Entries for the audit log that wait in Redis; every producer says the same',
    registers,
  });
  for (const app of apps) {
    broadcastDevices.inc({ app }, 0);
    for (const result of deliveryResults) webhookDeliveries.inc({ app, result }, 0);
    for (const lane of lanes) {
      groups.zero({ app, lane });
      for (const source of Object.values(sources)) enqueued.inc({ app, lane, source }, 0);
    }
  }
  for (const code of refusals) refused.inc({ code }, 0);

  return {
    observer: {
      committed(app: string, lane: Lane, notifications: number, source) {
        enqueued.inc({ app, lane, source: sources[source] }, notifications);
        if (source === 'single') groups.observe({ app, lane }, notifications);
      },
    },
    observerOf: (method, route) => requests.observerOf(method, route),
    broadcastDevices(app, devices) {
      broadcastDevices.inc({ app }, devices);
    },
    auditEntriesWaiting: (entries) => auditEntries.set(entries),
    webhookDelivery(app, result) {
      webhookDeliveries.inc({ app, result });
    },
    enqueueRefused(code) {
      if ((refusals as readonly string[]).includes(code)) refused.inc({ code });
    },
  };
}
