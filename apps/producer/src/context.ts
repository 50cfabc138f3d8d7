import type { PushQueue } from '@pushfleet/push-queue';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { DatabaseLink } from './database-link.ts';
import type { ProducerMetrics } from './metrics.ts';

/** What the routes work with. */
export interface ProducerContext {
  readonly logger: Logger;
  readonly apps: ReadonlyMap<string, FleetApp>;
  readonly queue: PushQueue;
  /** For what is read of Redis and told to workers; sends do not use it. */
  readonly redis: StatusOptions;
  readonly database: DatabaseLink;
  readonly metrics: ProducerMetrics;
}
