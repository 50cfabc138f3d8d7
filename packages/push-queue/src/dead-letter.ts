import { z } from 'zod';
import { pushJobDataSchema } from './push-job.ts';

// What lies in the queue `deadLetterQueue` of an app: notifications that no worker tries any more, with their data, so
// that they can be looked at and enqueued again. The id of a letter is that of its push job, so that a worker that
// was killed in between writes it once.

/** Name of the BullMQ job of a dead letter. */
export const deadLetterNames = ['dead', 'poisoned'] as const;
export type DeadLetterName = (typeof deadLetterNames)[number];

/** `dead`: notifications of one push job that ended as dead. */
export const deadLetterSchema = z.strictObject({
  v: z.literal(1),
  /** Index in the batch → why. */
  reasons: z.record(z.string(), z.string()),
  /** The push job with only the dead ones. */
  job: pushJobDataSchema,
  atMs: z.int(),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/** `poisoned`: a job whose data no worker can read. */
export const poisonedLetterSchema = z.strictObject({
  v: z.literal(1),
  /** What is wrong with the data; never holds a token. */
  error: z.string(),
  /** The data as they were found. */
  raw: z.string(),
  atMs: z.int(),
});
export type PoisonedLetter = z.infer<typeof poisonedLetterSchema>;

/** Letters of an app are kept for so long, and so many; the oldest go first. */
export const deadLetterRetention = { ageMs: 30 * 86_400_000, count: 10_000 } as const;
