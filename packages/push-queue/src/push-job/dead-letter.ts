import { z } from 'zod';
import { lanes } from '../lane.ts';
import { pushJobDataSchema } from './format.ts';

// What lies in the queue `deadLetterQueue` of an app: notifications that no worker tries any more, with their data, so
// that they can be looked at and enqueued again. The id of a letter is that of its push job, so that a worker that
// was killed in between writes it once. Beside the data lies a short description, which is all that lists read:
// docs/decisions/0071-dead-letters.md.

/** Name of the BullMQ job of a dead letter. */
export const deadLetterNames = ['dead', 'poisoned'] as const;
export type DeadLetterName = (typeof deadLetterNames)[number];

/** What is known of one dead notification beside its reason. */
const deathSchema = z.strictObject({
  /** Binary status byte or HTTP status, when the gateway gave one. */
  status: z.int().optional(),
  /** When it ended, epoch milliseconds. */
  atMs: z.int(),
});

/** `dead`: notifications of one push job that ended as dead. */
export const deadLetterSchema = z.strictObject({
  v: z.literal(1),
  /** Index in the batch → why. */
  reasons: z.record(z.string(), z.string()),
  /** Index in the batch → what else is known. */
  deaths: z.record(z.string(), deathSchema).optional(),
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

/** Stands for the reason of a poisoned letter in sums and filters. */
export const poisonedReason = 'poisoned';

/** What lists and filters read of a letter: never more than some kilobytes. */
export const letterDescriptionSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('dead'),
    lane: z.enum(lanes),
    batch: z.uuid(),
    /** Notifications. */
    count: z.int().min(1),
    /** Reason → notifications; the most frequent ones. */
    reasons: z.record(z.string(), z.int()),
    /** Notifications of reasons that are not named. */
    others: z.int().optional(),
    atMs: z.int(),
  }),
  z.strictObject({
    kind: z.literal('poisoned'),
    error: z.string(),
    /** Counts as one, whatever it held. */
    reasons: z.strictObject({ [poisonedReason]: z.literal(1) }),
    atMs: z.int(),
  }),
]);
export type LetterDescription = z.infer<typeof letterDescriptionSchema>;

/** Reasons that a description names, at most, and characters of each text in it. */
const maxReasons = 32;
const maxText = 500;

export function describeDead({ job, reasons, atMs }: DeadLetter): LetterDescription {
  const counts = new Map<string, number>();
  for (const reason of Object.values(reasons)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const named = [...counts]
    .filter(([reason]) => reason.length <= maxText)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, maxReasons);
  const others = job.count - named.reduce((sum, [, count]) => sum + count, 0);
  const description = { kind: 'dead', lane: job.lane, batch: job.batch, count: job.count, atMs } as const;
  return { ...description, reasons: Object.fromEntries(named), ...(others > 0 ? { others } : {}) };
}

export function describePoisoned({ error, atMs }: PoisonedLetter): LetterDescription {
  return { kind: 'poisoned', error: error.slice(0, maxText), reasons: { [poisonedReason]: 1 }, atMs };
}

/** How long the letters of an app are kept, and how many bytes of them; the oldest go first. */
export interface LetterRetention {
  readonly ageMs: number;
  /** Of ids, data and descriptions; what Redis needs beside them comes on top. */
  readonly bytes: number;
}

export const defaultLetterRetention: LetterRetention = { ageMs: 30 * 86_400_000, bytes: 256 * 1024 * 1024 };

/** What went because of the retention. */
export interface TrimmedLetters {
  /** Letters that were older than they may be. */
  readonly age: number;
  /** Letters that went to make room. */
  readonly bytes: number;
  /** Notifications in all of them. */
  readonly notifications: number;
}
