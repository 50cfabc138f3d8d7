import type { Redis } from 'ioredis';
import type { AppTraits } from '../app-traits.ts';
import type { Lane } from '../lane.ts';
import type { AppQuota } from '../quota.ts';

export interface PushQueueOptions {
  /** A URL, or a client whose options are taken over; the queue opens connections of its own. */
  readonly redis: string | Redis;
  /** What all keys begin with. Default `pushfleet`. */
  readonly prefix?: string;
  /**
   * The apps that may be sent to, as in `pushfleet.yaml`: others are refused, and payloads are measured against the
   * limit of the app's transport. Absent: any app, and the limits of HTTP/2.
   */
  readonly apps?: Readonly<Record<string, AppTraits>>;
  /** What an app may have in its queues, where `apps` says nothing of it. Every process holds what it adds against its own. */
  readonly quota?: AppQuota;
  /** Seconds that APNs may store a notification that says nothing about it. Default a day. */
  readonly defaultTtlSeconds?: number;
  /** How long an idempotency key is remembered, milliseconds. Default a day. */
  readonly idempotencyWindowMs?: number;
  /** How long a write to Redis may take, milliseconds; a call takes at most twice that. Default 5,000. */
  readonly writeTimeoutMs?: number;
  /** Bytes of payloads, and a little for each notification, that may wait to be written. Default 64 MiB. */
  readonly maxBacklogBytes?: number;
  readonly observer?: PushQueueObserver;
  /**
   * For traces: gives the W3C `traceparent` of whoever calls, and is asked within each call. Those that are sampled
   * travel with the push job, so that the worker's spans join them. Must not throw. Absent: jobs carry none.
   */
  readonly traceparent?: () => string | undefined;
}

/** What happens inside, for metrics. */
export interface PushQueueObserver {
  /** Notifications were written: one push job of single sends, or a batch. Must not throw. */
  committed(app: string, lane: Lane, notifications: number, source: EnqueueSource): void;
}

/** `tokens`: by `enqueueTokens`. */
export type EnqueueSource = 'single' | 'batch' | 'tokens';
