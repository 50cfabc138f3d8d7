// How much of an app may lie in the push queues: its notifications, and the bytes of its push jobs. Scheduled sends,
// which nothing but their time takes away, are counted apart.

/** `scheduled`: what was enqueued with a time to be sent at, until it has ended. `queued`: all else. */
export const queueClasses = ['queued', 'scheduled'] as const;
export type QueueClass = (typeof queueClasses)[number];

/** Most that an app may have in its queues. What is absent has its default. */
export interface AppQuota {
  /** Default 20,000,000. */
  readonly maxNotifications?: number | undefined;
  /** Of push jobs, as Redis holds them. Default two fifths of Redis' memory. */
  readonly maxBytes?: number | undefined;
  /** Default 5,000,000. */
  readonly maxScheduledNotifications?: number | undefined;
  /** Default a fifth of Redis' memory. */
  readonly maxScheduledBytes?: number | undefined;
}

/** What an app has in one class, or may have at most. */
export interface QueueSize {
  readonly notifications: number;
  readonly bytes: number;
}
export type QueueSizes = { readonly [Class in QueueClass]: QueueSize };

/** A call that an app's quota has no room for. */
export interface QuotaRefusal {
  /** The limit, by its name in the configuration. */
  readonly limit: keyof AppQuota;
  readonly max: number;
  readonly used: number;
  /** What the call would have added. */
  readonly asked: number;
}

export const quotaNames = {
  queued: { notifications: 'maxNotifications', bytes: 'maxBytes' },
  scheduled: { notifications: 'maxScheduledNotifications', bytes: 'maxScheduledBytes' },
} as const satisfies Readonly<Record<QueueClass, Readonly<Record<keyof QueueSize, keyof AppQuota>>>>;

const defaultNotifications = { queued: 20_000_000, scheduled: 5_000_000 } as const;
/**
 * Of Redis' memory. Together well below the share at which producers take no more for anybody, with what Redis' own
 * allocation adds: no app by itself brings that about.
 */
const defaultMemoryShare = { queued: 0.4, scheduled: 0.2 } as const;
/** Where Redis does not say how much memory it has, bytes. */
const assumedMemoryBytes = 1024 ** 3;

/** @param memoryBytes What Redis may use; undefined: it does not say. */
export function quotaLimits(quota: AppQuota = {}, memoryBytes: number = assumedMemoryBytes): QueueSizes {
  const limitOf = (each: QueueClass): QueueSize => ({
    notifications: quota[quotaNames[each].notifications] ?? defaultNotifications[each],
    bytes: quota[quotaNames[each].bytes] ?? Math.floor(memoryBytes * defaultMemoryShare[each]),
  });
  return { queued: limitOf('queued'), scheduled: limitOf('scheduled') };
}
