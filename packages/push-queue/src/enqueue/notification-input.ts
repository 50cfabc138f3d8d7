import type { Payload, PayloadContent, PushType } from '@pushfleet/apns-wire/payload';
import type { Lane } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';

// What a caller hands over. The HTTP API takes the same fields.

export { type PushType, pushTypes } from '@pushfleet/apns-wire/payload';

/** A point in time: epoch seconds, ISO 8601 text with a zone, or a Date. */
export type TimeInput = number | string | Date;

/** What to send and how; content fields stand beside delivery fields. */
export interface NotificationDefaults extends PayloadContent {
  /** The whole payload in Apple's names, instead of the content fields. */
  readonly payload?: Payload;
  /** Shorten the alert's body when the payload is over the limit. Default: refuse. */
  readonly truncate?: boolean;
  /**
   * Seconds that APNs may store it for; 0: try once. Default: the queue's `defaultTtlSeconds`; 0 for `voip` and
   * `pushtotalk`, which are of no use later.
   */
  readonly ttl?: number;
  /** Instead of `ttl`. */
  readonly expiresAt?: TimeInput;
  /** 10 at once, 5 as the battery allows, 1 least (HTTP/2 only). Default 10; 5 for background pushes. */
  readonly priority?: 10 | 5 | 1;
  /**
   * Default: as the content says, `alert`, `background` when there is only `contentAvailable`, or `liveactivity`. One
   * that is newer than `pushTypes` is taken together with `payload`. The binary protocol carries alert, background and
   * mdm alone.
   */
  readonly pushType?: PushType;
  /** At most 64 bytes: later notifications of the same id replace it on the device. HTTP/2 only. */
  readonly collapseId?: string;
}

export interface NotificationInput extends NotificationDefaults {
  /** Device token: hex or base64, in any form that `parseDeviceToken` reads. */
  readonly token: string;
}

/** Facts of the whole call. */
export interface CallOptions {
  readonly app: string;
  /** Default `transactional`. */
  readonly lane?: Lane;
  /** Not before this time; at most 30 days ahead. */
  readonly sendAt?: TimeInput;
  /** At most 255 characters. Within the idempotency window the same key of an app yields one push. */
  readonly idempotencyKey?: string;
}

/** One notification, for `enqueue`. */
export interface SendInput extends NotificationInput, CallOptions {}

/** Many, for `enqueueBatch`. What a notification has itself goes before the defaults, field by field. */
export interface BatchInput extends CallOptions {
  readonly notifications: readonly NotificationInput[];
  readonly defaults?: NotificationDefaults;
}

/** A batch whose device tokens are not known yet, for `checkBatch`. */
export interface BatchDraft extends CallOptions {
  readonly notifications: readonly NotificationDefaults[];
  readonly defaults?: NotificationDefaults;
}

/** Device tokens back to back. */
export interface TokenColumns {
  readonly tokens: Uint8Array;
  /** Length of each in bytes; one number: all the same. Default 32, the usual length. */
  readonly tokenLength?: number | readonly number[] | Uint8Array;
}

/** One payload for the devices of `TokenColumns`, for `enqueueTokens`. */
export interface TokensInput extends NotificationDefaults, CallOptions, TokenColumns {}

/** How a call is recognised when it comes again. */
export interface RecallOptions {
  /**
   * What the idempotency key stands for: calls with the same key and the same fingerprint are the same call. Default:
   * a hash of the whole call. For calls whose content is looked up and may differ when they come again.
   */
  readonly fingerprint?: string;
  /** How long the key is remembered, milliseconds. Default: the queue's `idempotencyWindowMs`. */
  readonly idempotencyWindowMs?: number;
  /** The key is one of Pushfleet's own; no key of a caller is ever the same. Default: a caller's. */
  readonly isOwn?: boolean;
  /** Kept with the key, and told to whoever calls with it again. A few hundred characters at most. */
  readonly note?: string | undefined;
}

/** Facts of a batch that was announced before it is enqueued. */
export interface BatchOptions extends RecallOptions {
  /** Its id, of `createBatchId`. Default: a new one. */
  readonly batchId?: BatchId;
  /** When it was meant to be sent, epoch milliseconds: expirations count from then. Default: `sendAt`, or now. */
  readonly dueMs?: number;
}

export const maxBatchNotifications = 5_000;
/** Devices that one call of `enqueueTokens` may name. */
export const maxTokensPerCall = 50_000;
export const maxIdempotencyKeyLength = 255;
export const maxScheduleSeconds = 30 * 86_400;
