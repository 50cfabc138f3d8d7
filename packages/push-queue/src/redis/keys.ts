import type { BatchId } from '../notification-id.ts';

// Where things lie in Redis. All keys of an app carry the hash tag `{<app>}`, so that they share one slot of a
// cluster: a batch, its record of idempotency and its cancellation can be written and read in one transaction.
// BullMQ's own keys lie under `<prefix>:{<app>}:<lane>:`.

export const defaultRedisPrefix = 'pushfleet';

/** BullMQ's `prefix` for the queues of an app. */
export function appPrefix(prefix: string, app: string): string {
  return `${prefix}:{${app}}`;
}

/** BullMQ's keys of a queue. */
export interface QueueKeys {
  /** What the key of a job begins with; its id follows, and `:lock` for its lock. */
  readonly base: string;
  readonly wait: string;
  readonly paused: string;
  readonly active: string;
  readonly delayed: string;
  readonly stalled: string;
  readonly meta: string;
}

/** @param queue A lane */
export function queueKeys(prefix: string, app: string, queue: string): QueueKeys {
  const base = `${appPrefix(prefix, app)}:${queue}:`;
  return {
    base,
    wait: `${base}wait`,
    paused: `${base}paused`,
    active: `${base}active`,
    delayed: `${base}delayed`,
    stalled: `${base}stalled`,
    meta: `${base}meta`,
  };
}

/** Pub/sub channel on which `<app>/<lane>` is published after jobs were added, `<app>/control` after a change here, `<app>/resume` to have the gateway asked. */
export function doorbellChannel(prefix: string): string {
  return `${prefix}:doorbell`;
}

/** Hash: cause of the pause → JSON. Absent: the app runs. */
export function pausesKey(prefix: string, app: string): string {
  return `${appPrefix(prefix, app)}:pauses`;
}

/** Sorted set: ids of the workers that are alive, by the time until which they have said so. No app's id has a colon. */
export function workersKey(prefix: string): string {
  return `${prefix}:{:workers}`;
}

/** JSON, expiring: one worker, and what it says of its apps. In the slot of `workersKey`. */
export function workerKey(prefix: string, id: string): string {
  return `${workersKey(prefix)}:${id}`;
}

/** Set of what is cancelled of a batch: indexes, or 0 for all of it. */
export function cancelledKey(prefix: string, app: string, batch: BatchId): string {
  return `${appPrefix(prefix, app)}:cancelled:${batch}`;
}

/** Hash beside `cancelledKey`: when each of its members was first asked for, epoch milliseconds. */
export function cancellationTimesKey(prefix: string, app: string, batch: BatchId): string {
  return `${cancelledKey(prefix, app, batch)}:times`;
}

/** There while anything of an app is cancelled: a worker that takes a job reads it in the same round trip. */
export function cancellationsKey(prefix: string, app: string): string {
  return `${appPrefix(prefix, app)}:cancellations`;
}

/** What the idempotency keys begin with that Pushfleet makes itself: chunks of broadcasts, replays of dead letters, and scheduled sends. */
const ownKeyPrefixes = ['broadcast/', 'replay:', 'scheduled/'] as const;

/** The name of the record of an idempotency key of Pushfleet's own. @throws TypeError for one of another space */
export function ownRecordName(key: string): string {
  if (ownKeyPrefixes.some((prefix) => key.startsWith(prefix))) return key;
  throw new TypeError(`an idempotency key of Pushfleet's own begins with ${ownKeyPrefixes.join(' or ')}`);
}

/**
 * The name of the record of a caller's key: the key itself, but where one of Pushfleet's own may be called so. Callers'
 * keys hold no space, so the names of two keys are never the same.
 */
export function callersRecordName(key: string): string {
  return ownKeyPrefixes.some((prefix) => key.startsWith(prefix)) ? ` ${key}` : key;
}

/** JSON: what was answered to the call that first carried a key. @param name `ownRecordName` or `callersRecordName` */
export function idempotencyRecordKey(prefix: string, app: string, name: string): string {
  return `${appPrefix(prefix, app)}:idempotency:${name}`;
}

/**
 * Stream of the outcome reports of an app, one JSON text in the field `report` each; the consumer group
 * `outcomeReaders` reads it. In the slot of the app, so that a report, the totals and the end of its push job agree.
 */
export function outcomesKey(prefix: string, app: string): string {
  return `${appPrefix(prefix, app)}:outcomes`;
}

/** Consumer group of the sweepers at the streams of outcome reports. */
export const outcomeReaders = 'sweepers';

/**
 * Hash of the sums of an app since it first sent: `enqueued:<lane>` rises in the transaction that adds push jobs,
 * `<outcome>:<lane>` (`accepted-proved` and `accepted-presumed` apart) with each outcome report, once.
 */
export function totalsKey(prefix: string, app: string): string {
  return `${appPrefix(prefix, app)}:totals`;
}

/** Hash: what lies in the push queues of an app, which its quota is held against (`scripts/include/counts.lua`). */
export function heldKey(prefix: string, app: string): string {
  return `${appPrefix(prefix, app)}:held`;
}

/**
 * JSON `{lane, size}`, for some hours: a push job of this batch has ended, and its report may not be in Postgres yet.
 * Where no Postgres row and no push job of a batch is found, this tells that it exists.
 */
export function batchTraceKey(prefix: string, app: string, batch: BatchId): string {
  return `${appPrefix(prefix, app)}:batch:${batch}`;
}

/** Name of the queue of an app in which its dead letters lie, as failed jobs; no worker takes from it. */
export const deadLetterQueue = 'dead-letters';

/** Where the dead letters of an app lie; all in its slot. */
export function deadLetterKeys(prefix: string, app: string): DeadLetterKeys {
  const queue = `${appPrefix(prefix, app)}:${deadLetterQueue}`;
  return { base: `${queue}:`, index: `${queue}:failed`, sums: `${appPrefix(prefix, app)}:dead-letter-sums` };
}

export interface DeadLetterKeys {
  /** What the key of a letter begins with; its id follows. */
  readonly base: string;
  /** Sorted set of the letters' ids by time, epoch milliseconds. BullMQ's set of failed jobs. */
  readonly index: string;
  /**
   * Hash: `bytes` that the letters take, `reason:<reason>` notifications among them, and what was trimmed since the app
   * first sent: `trimmed-age` and `trimmed-bytes` letters, `trimmed-notifications`.
   */
  readonly sums: string;
}
