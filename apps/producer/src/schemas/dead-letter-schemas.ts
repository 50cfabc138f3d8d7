import { z } from 'zod';
import { appId, lane } from './notification-schemas.ts';

const head = {
  id: z.string(),
  app: appId,
  at: z.iso.datetime(),
};

const letterSummarySchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      ...head,
      kind: z.literal('dead'),
      lane,
      batchId: z.uuid(),
      count: z.int().min(1).meta({ description: 'Notifications that ended as dead.' }),
      reasons: z.record(z.string(), z.int()).meta({ description: 'How many of each reason.' }),
    }),
    z.strictObject({ ...head, kind: z.literal('poisoned'), error: z.string() }),
  ])
  .meta({ id: 'DeadLetter' });
export type LetterSummary = z.infer<typeof letterSummarySchema>;

export const letterPageSchema = z
  .strictObject({ letters: z.array(letterSummarySchema), total: z.int().min(0) })
  .meta({ id: 'DeadLetterPage' });

export const letterDetailSchema = z
  .strictObject({
    summary: letterSummarySchema,
    notifications: z
      .array(
        z.strictObject({ notificationId: z.uuid(), index: z.int(), token: z.string(), reason: z.string() }),
      )
      .optional(),
    raw: z.string().optional().meta({ description: 'Of `poisoned`: the data as they were found.' }),
  })
  .meta({ id: 'DeadLetterDetail' });

export const replayRequestSchema = z
  .strictObject({
    ttl: z.int().min(0).optional().meta({
      description: 'Seconds that APNs may store those whose own time has passed. A day by default.',
    }),
  })
  .default({});
