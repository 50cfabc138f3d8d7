import type { Tracer } from '@opentelemetry/api';
import type { PushQueue } from '@pushfleet/push-queue';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { FleetApp, Logger, OwnHosts } from '@pushfleet/service-kit';
import type { AuditTrail } from './audit/audit-trail.ts';
import type { KeyRequirement } from './auth/require-keys.ts';
import type { BroadcastRunner } from './broadcasts/broadcast-runner.ts';
import type { DatabaseLink } from './database-link.ts';
import type { ProducerMetrics } from './metrics.ts';
import type { ScheduledSendRunner } from './notifications/scheduled-send-runner.ts';
import type { RedisRoom } from './redis-room.ts';
import type { DestinationRules } from './webhooks/destination.ts';

/** What the routes work with. */
export interface ProducerContext {
  readonly logger: Logger;
  readonly apps: ReadonlyMap<string, FleetApp>;
  readonly queue: PushQueue;
  /** For what is read of Redis and told to workers; sends do not use it. */
  readonly redis: StatusOptions;
  readonly database: DatabaseLink;
  readonly audit: Pick<AuditTrail, 'record' | 'settled'>;
  readonly broadcastRunner: Pick<BroadcastRunner, 'wake'>;
  readonly scheduledSends: Pick<ScheduledSendRunner, 'wake'>;
  /** Where webhooks may go. */
  readonly webhookRules: DestinationRules;
  /** Undefined: requests need no key. */
  readonly keys: KeyRequirement | undefined;
  /** Where requests need no key: the hosts that they may be for, beside those of loopback; undefined: any. */
  readonly hosts: OwnHosts;
  /** Addresses and networks of proxies that are believed who they speak for. */
  readonly trustedProxies?: readonly string[] | undefined;
  readonly metrics: ProducerMetrics;
  /** Undefined: traces are off. */
  readonly tracer?: Tracer | undefined;
  /** Aborted when the service begins to stop: what goes on without end has to end. */
  readonly stopping: AbortSignal;
  /** Whether Redis has room for more to send; absent: it always has. */
  readonly room?: Pick<RedisRoom, 'check'> | undefined;
  /** Bytes of bodies under way at once; by default as many as the memory is good for. */
  readonly maxBodyBytes?: number | undefined;
  /** For the whole of a body of JSON, milliseconds. */
  readonly bodyTimeoutMs?: number | undefined;
  /** How long requests that are under way at a stop may take, milliseconds. */
  readonly drainMs: number;
}
