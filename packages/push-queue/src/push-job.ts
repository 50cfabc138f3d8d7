import { maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { z } from 'zod';
import { lanes } from './lane.ts';

// What lies in Redis for one push job: the columns of up to 1,000 notifications, tokens and payloads as base64 so
// that neither JSON escaping nor an object per notification is paid for. `data` is written once (and rewritten
// smaller when a retry holds only what is left); what has settled since is in `progress`.
//
// Notifications are named by their index in the batch, from 1. Indexes in `progress` are the batch's, so data and
// progress may be written one after the other without meaning something else in between.

export const maxJobNotifications = 1000;

const index = z.int().min(1).max(0xffff_ffff);
const perNotification = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);

export const pushJobDataSchema = z.strictObject({
  v: z.literal(1),
  app: z.string().min(1),
  lane: z.enum(lanes),
  batch: z.uuid(),
  /** Notifications the batch has in all its jobs. */
  batchSize: z.int().min(1),
  count: z.int().min(1).max(maxJobNotifications),
  /** Index of the first of a contiguous run, or every index. */
  index: z.union([index, z.array(index)]),
  enqueuedAtMs: z.int(),
  /** Base64 of the device tokens back to back, and their lengths in bytes (one number: all the same). */
  tokens: z.base64(),
  tokenLength: perNotification(z.int().min(1).max(maxDeviceTokenBytes)),
  /** Base64 of the distinct payloads back to back, and the length of each in bytes. */
  payloads: z.base64(),
  payloadLength: z.array(z.int().min(2).max(5120)).min(1),
  /** Which payload each notification carries. Absent: the only one, or each its own. */
  payloadOf: z.array(z.int().min(0)).optional(),
  /** Epoch seconds; 0: do not store. */
  expiration: perNotification(z.int().min(0).max(0xffff_ffff)),
  priority: perNotification(z.union([z.literal(10), z.literal(5), z.literal(1)])),
  pushType: perNotification(z.string()).optional(),
  collapseId: perNotification(z.string().nullable()).optional(),
});
export type PushJobData = z.infer<typeof pushJobDataSchema>;

/** One notification that was not simply accepted. */
export const outcomeExceptionSchema = z.strictObject({
  index,
  /** Device token, hex. */
  token: z.string(),
  outcome: z.enum(['rejected', 'expired', 'cancelled', 'dead']),
  reason: z.string(),
  /** Binary status byte or HTTP status, when the gateway gave one. */
  status: z.int().optional(),
  /** The gateway's word is evidence against the device. */
  tokenInvalid: z.boolean().optional(),
  /** When APNs found the token gone, epoch milliseconds (410 only). */
  unregisteredAtMs: z.int().optional(),
  atMs: z.int(),
});
export type OutcomeException = z.infer<typeof outcomeExceptionSchema>;

export const acceptedCountsSchema = z.strictObject({ proved: z.int().min(0), presumed: z.int().min(0) });

/** BullMQ `progress` of a push job: what has settled, and what is left. */
export const pushJobProgressSchema = z.strictObject({
  v: z.literal(1),
  /** Tries that ended with something left, so far. */
  attempt: z.int().min(0),
  /** Index ranges still to settle, half-open, ascending. */
  remaining: z.array(z.tuple([index, z.int()])),
  /** Of what remains, what has been tried already: from, to (half-open), tries. */
  tries: z.array(z.tuple([index, z.int(), z.int().min(1)])).optional(),
  accepted: acceptedCountsSchema,
  exceptions: z.array(outcomeExceptionSchema),
  /** Notifications sent again although the gateway may have had them. */
  resentUncertain: z.int().min(0),
  firstWrittenAtMs: z.int().optional(),
  /** Some of what remains may be with the gateway: whoever finds this, after a crash, cannot know. */
  handedOver: z.literal(true).optional(),
});
export type PushJobProgress = z.infer<typeof pushJobProgressSchema>;

/**
 * Field of a push job's hash: what of it waits to be tried again, ascending ranges of from, to (half-open), tries that
 * were not held against it, when the first one failed, and when the next is due (epoch milliseconds). Beside
 * `progress` and not in it, whose schema is strict: a worker that does not know the field tries at once.
 */
export const waitsField = 'waits';
export const pushJobWaitsSchema = z.array(z.tuple([index, z.int(), z.int().min(0), z.int(), z.int()]));
export type PushJobWaits = z.infer<typeof pushJobWaitsSchema>;

/** What a worker says of one finished push job. The identity holds: count = accepted + exceptions. */
export const outcomeReportSchema = z.strictObject({
  v: z.literal(1),
  /** Id of the push job; a report delivered twice carries the same. */
  job: z.string(),
  app: z.string(),
  lane: z.enum(lanes),
  batch: z.uuid(),
  batchSize: z.int().min(1),
  /** Index of the job's first notification as it was enqueued, and how many it had. */
  firstIndex: index,
  count: z.int().min(1),
  enqueuedAtMs: z.int(),
  settledAtMs: z.int(),
  accepted: acceptedCountsSchema,
  exceptions: z.array(outcomeExceptionSchema),
  resentUncertain: z.int().min(0),
});
export type OutcomeReport = z.infer<typeof outcomeReportSchema>;
