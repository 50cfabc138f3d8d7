import { letterCursorPattern } from '@pushfleet/push-queue/status';
import { z } from 'zod';
import { appId, lane, time } from './notification-schemas.ts';
import { afterOf, formerlyAfter, nextOf } from './page-schemas.ts';
import { wholeNumber } from './whole-number.ts';

const count = z.int().min(0);
const reasonCounts = z.record(z.string(), z.int());

const head = {
  id: z.string(),
  app: appId,
  at: z.iso.datetime(),
  bytes: count.meta({ description: 'What it takes in Redis, without what Redis needs beside it.' }),
};

const letterSummarySchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      ...head,
      kind: z.literal('dead'),
      lane,
      batchId: z.uuid(),
      count: z.int().min(1).meta({ description: 'Notifications that ended as dead.' }),
      reasons: reasonCounts.meta({ description: 'How many of each reason; the most frequent ones.' }),
      others: z.int().optional().meta({ description: 'How many of reasons that are not named.' }),
    }),
    z.strictObject({ ...head, kind: z.literal('poisoned'), error: z.string() }),
  ])
  .meta({ id: 'DeadLetter' });
export type LetterSummary = z.infer<typeof letterSummarySchema>;

const place = z.string().regex(letterCursorPattern, 'must be `next` of an earlier answer');
const cursor = place.meta({ description: '`next` of the answer before.' });
const next = cursor.nullable().meta({ description: 'The cursor to go on with; null: this was all.' });

export const letterQuerySchema = z.strictObject({
  after: afterOf(place),
  cursor: formerlyAfter(place),
  limit: wholeNumber({ min: 1, max: 100, byDefault: 20 }),
});

export const letterPageSchema = z
  .strictObject({
    letters: z.array(letterSummarySchema),
    total: count.meta({ description: 'Letters of the app.' }),
    bytes: count.meta({ description: 'Of all letters of the app.' }),
    reasons: reasonCounts.meta({
      description: 'Notifications in all letters of the app by reason; an unreadable push job counts as one.',
    }),
    trimmed: z.strictObject({ age: count, bytes: count, notifications: count }).meta({
      description:
        'What the retention has taken since the app first sent: letters for their `age`, letters for room (`bytes`), and the notifications in them.',
    }),
    next: nextOf(place),
  })
  .meta({ id: 'DeadLetterPage' });

export const letterDetailSchema = z
  .strictObject({
    summary: letterSummarySchema,
    notifications: z
      .array(
        z.strictObject({
          notificationId: z.uuid(),
          index: z.int(),
          token: z.string(),
          reason: z.string(),
          status: z.int().optional().meta({ description: 'Binary status byte or HTTP status.' }),
          at: z.iso.datetime().optional().meta({ description: 'When it ended.' }),
        }),
      )
      .optional(),
    raw: z.string().optional().meta({ description: 'Of `poisoned`: the data as they were found.' }),
  })
  .meta({ id: 'DeadLetterDetail' });

const ttl = z.int().min(0).optional().meta({
  description: 'Seconds that APNs may store those whose own time has passed. A day by default.',
});

export const replayRequestSchema = z.strictObject({ ttl }).default({});

/** Which dead notifications are meant, and how far one request goes. */
const letterFilter = {
  reason: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .meta({
      description: 'Exactly; `poisoned` for push jobs that could not be read.',
      examples: ['uncertain'],
    }),
  lane: lane.optional(),
  since: time.optional().meta({ description: 'Letters at or after this time.' }),
  until: time.optional().meta({ description: 'Letters at or before this time.' }),
  limit: z.int().min(1).max(1_000).default(1_000).meta({
    description: 'Notifications that this request takes at most; a letter is not taken apart to discard it.',
  }),
  cursor: cursor.optional(),
};

export const bulkReplayRequestSchema = z
  .strictObject({ ...letterFilter, ttl })
  .meta({ id: 'DeadLetterReplay' });
export const bulkDiscardRequestSchema = z.strictObject(letterFilter).meta({ id: 'DeadLetterDiscard' });

export const bulkReplayAnswerSchema = z
  .strictObject({
    notifications: count.meta({ description: 'Enqueued again by this request.' }),
    letters: z.array(z.strictObject({ id: z.string(), batchId: z.uuid(), notifications: z.int() })),
    refused: z
      .array(z.strictObject({ id: z.string(), detail: z.string() }))
      .meta({ description: 'Letters that the queue does not take any more; they stay.' }),
    next,
  })
  .meta({ id: 'DeadLetterReplayAnswer' });

export const bulkDiscardAnswerSchema = z
  .strictObject({
    notifications: count.meta({ description: 'Discarded by this request.' }),
    letters: count.meta({ description: 'That are gone.' }),
    parts: count.meta({ description: 'Letters that hold others, which stay.' }),
    next,
  })
  .meta({ id: 'DeadLetterDiscardAnswer' });
