import { maxDeviceTokenBytes } from '@pushfleet/apns-wire/device-token';
import { payloadLimits } from '@pushfleet/apns-wire/payload';
import { z } from 'zod';
import { lanes } from '../lane.ts';
import { base64Bytes } from './columns.ts';
import { batchIdSchema } from './id.ts';

// What lies in Redis for one push job: the columns of up to 1,000 notifications, tokens and payloads as base64 so
// that neither JSON escaping nor an object per notification is paid for. `data` is written once (and rewritten
// smaller when a retry holds only what is left); what has settled since is in `progress`.
//
// Notifications are named by their index in the batch, from 1. Indexes in `progress` are the batch's, so data and
// progress may be written one after the other without meaning something else in between.
//
// `decode.ts` reads the same by hand and gives the same verdict on it; a test holds the two together. Both pass over
// fields that they do not know.

export const pushJobVersion = 1;
export const maxJobNotifications = 1000;
export const maxIndex = 0xffff_ffff;
/** `{}` */
export const minPayloadBytes = 2;
export const maxPayloadBytes = Math.max(...Object.values(payloadLimits));
/** Of a notification; 1: on HTTP/2 only. */
export const priorities = [10, 5, 1] as const;
/** What it means that these columns are absent. */
export const absentColumns = { pushType: 'alert', collapseId: null } as const;

/** The places in a batch, from 0, at which its push jobs begin. */
export function jobStarts(batchSize: number): number[] {
  const jobs = Math.ceil(batchSize / maxJobNotifications);
  return Array.from({ length: jobs }, (_, job) => job * maxJobNotifications);
}

export const indexSchema = z.int().min(1).max(maxIndex);
const perNotification = <T extends z.ZodType>(one: T) => z.union([one, z.array(one)]);
const base64 = z
  .string()
  .refine((text) => base64Bytes(text) !== undefined, { error: 'is not base64', abort: true });

export const pushJobDataSchema = z
  .object({
    v: z.literal(pushJobVersion),
    app: z.string().min(1),
    lane: z.enum(lanes),
    batch: batchIdSchema,
    /** Notifications the batch has in all its jobs. */
    batchSize: z.int().min(1).max(maxIndex),
    count: z.int().min(1).max(maxJobNotifications),
    /** Index of the first of a contiguous run, or every index, ascending. */
    index: perNotification(indexSchema),
    enqueuedAtMs: z.int().min(0),
    /** Base64 of the device tokens back to back, and their lengths in bytes (one number: all the same). */
    tokens: base64,
    tokenLength: perNotification(z.int().min(1).max(maxDeviceTokenBytes)),
    /** Base64 of the distinct payloads back to back, and the length of each in bytes. */
    payloads: base64,
    payloadLength: z.array(z.int().min(minPayloadBytes).max(maxPayloadBytes)).min(1),
    /** Which payload each notification carries. Absent: the only one, or each its own. */
    payloadOf: z.array(z.int().min(0)).optional(),
    /** Epoch seconds; 0: do not store. */
    expiration: perNotification(z.int().min(0).max(0xffff_ffff)),
    priority: perNotification(z.literal(priorities)),
    pushType: perNotification(z.string()).optional(),
    collapseId: perNotification(z.string().nullable()).optional(),
  })
  .superRefine((data, context) => {
    for (const [field, problem] of defectsOf(data)) {
      context.addIssue({ code: 'custom', path: [field], message: problem });
    }
  });
export type PushJobData = z.infer<typeof pushJobDataSchema>;

/** What columns say of each other. */
function* defectsOf(data: PushJobData): Generator<[field: string, problem: string]> {
  const { count, index, tokens, tokenLength, payloads, payloadLength, payloadOf } = data;
  const { expiration, priority, pushType, collapseId } = data;
  const columns = { index, tokenLength, payloadOf, expiration, priority, pushType, collapseId };
  for (const [field, column] of Object.entries(columns)) {
    if (Array.isArray(column) && column.length !== count) yield [field, 'has not one value for each'];
  }
  const isAscending = Array.isArray(index)
    ? index.every((one, place) => place === 0 || one > index[place - 1]!)
    : index <= maxIndex - count;
  if (!isAscending) yield ['index', 'is not ascending'];
  const tokenBytes = Array.isArray(tokenLength) ? sumOf(tokenLength) : tokenLength * count;
  if (tokenBytes !== base64Bytes(tokens)!.length) yield ['tokenLength', 'does not add up to the tokens'];
  if (sumOf(payloadLength) !== base64Bytes(payloads)!.length) {
    yield ['payloadLength', 'does not add up to the payloads'];
  }
  const distinct = payloadLength.length;
  if (distinct > count) yield ['payloadLength', 'has more payloads than there are notifications'];
  if (payloadOf === undefined && distinct !== 1 && distinct !== count) yield ['payloadOf', 'is missing'];
  if (payloadOf?.some((of) => of >= distinct)) yield ['payloadOf', 'names a payload that there is not'];
}

function sumOf(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}
