import type { TagExpression } from '@pushfleet/token-store';
import { z } from 'zod';
import { locale, tag, timeZone } from './device-schemas.ts';
import { id } from './id-schema.ts';
import { appId, lane, notificationFields, time } from './notification-schemas.ts';
import { nextOf } from './page-schemas.ts';

const count = z.int().min(0);
const instant = z.iso.datetime();

/** Nodes of one expression: more is no audience but an attack. */
const maxTerms = 200;

const tagExpression: z.ZodType<TagExpression> = z
  .union(
    [
      tag,
      z.strictObject({ and: z.array(z.lazy(() => tagExpression)).min(1) }),
      z.strictObject({ or: z.array(z.lazy(() => tagExpression)).min(1) }),
      z.strictObject({ not: z.lazy(() => tagExpression) }),
    ],
    {
      error:
        'must be a tag, such as "vip", or {"and": ["vip", "de"]}, {"or": ["vip", "de"]} or {"not": "vip"}',
    },
  )
  .meta({
    id: 'TagExpression',
    description: 'A tag, or `and`, `or`, `not` of expressions.',
    examples: [{ and: ['vip', { not: 'silent' }] }],
  });

const audienceSchema = z
  .strictObject({
    all: z.literal(true).optional().meta({ description: 'Every active device of the app.' }),
    tags: tagExpression.optional(),
    locales: z.array(locale).min(1).max(1_000).optional(),
    timeZones: z.array(timeZone).min(1).max(1_000).optional(),
    upload: id.optional().meta({ description: 'Devices of the users of an uploaded list.' }),
  })
  .refine((audience) => Object.values(audience).some((value) => value !== undefined), {
    message: 'must say who: `all`, `tags`, `locales`, `timeZones` or `upload`',
  })
  .refine(
    ({ all, ...conditions }) =>
      all === undefined || Object.values(conditions).every((value) => value === undefined),
    { path: ['all'], message: 'cannot stand beside conditions' },
  )
  .refine(({ tags }) => tags === undefined || termsOf(tags) <= maxTerms, {
    path: ['tags'],
    message: `must have at most ${maxTerms} terms`,
  })
  .meta({ id: 'Audience', description: 'Whom to send to; all conditions must hold.' });

const callFields = {
  app: appId,
  lane: lane.default('bulk'),
  audience: audienceSchema,
  sendAt: time.optional().meta({ description: 'When the fan-out begins; at most 30 days ahead.' }),
  spreadOver: z
    .int()
    .min(1)
    .max(7 * 86_400)
    .optional()
    .meta({ description: 'Seconds over which the fan-out is spread. Otherwise it goes as fast as it can.' }),
  dryRun: z.boolean().default(false).meta({ description: 'Count the devices, and send nothing.' }),
};

export const broadcastRequestSchema = z
  .strictObject({ ...callFields, ...notificationFields })
  .meta({ id: 'BroadcastRequest' });

export const dryRunSchema = z.strictObject({ devices: count }).meta({ id: 'AudienceCount' });

const states = ['running', 'paused', 'delivering', 'finished', 'cancelling', 'cancelled', 'failed'] as const;

export const broadcastSchema = z
  .strictObject({
    broadcastId: z.uuid(),
    app: appId,
    lane,
    says: z
      .string()
      .max(200)
      .optional()
      .meta({
        description:
          'What is shown: title and body, shortened. Absent where nothing is, or it is translated on the device.',
        examples: ['Spring sale: Everything must go'],
      }),
    audience: audienceSchema.optional().meta({ description: 'Whom it is for, as it was asked for.' }),
    state: z.enum(states).meta({
      description:
        '`running`: the fan-out goes on, or waits for `startAt`. `delivering`: every device of the audience has been ' +
        'enqueued, and some have no outcome. `finished`: all have one. After `cancelled` and `failed` nothing more is ' +
        'enqueued; what is `queued` still gets its outcome.',
    }),
    error: z.string().optional().meta({ description: 'Of `failed`.' }),
    createdAt: instant,
    startAt: instant,
    startedAt: instant.optional(),
    fanOutEndedAt: instant.optional().meta({ description: 'Since then nothing more is enqueued.' }),
    finishedAt: instant
      .optional()
      .meta({ description: 'When the last device got its outcome, after the end of the fan-out.' }),
    fanOutProgress: z
      .number()
      .min(0)
      .max(1)
      .meta({ description: 'How much of the device table the fan-out has gone through, about.' }),
    progress: z
      .number()
      .min(0)
      .max(1)
      .meta({ description: 'How much of it is done, about: 1 when every device has its outcome.' }),
    enqueued: count.meta({ description: 'Devices that have been enqueued: the sum of all counts below.' }),
    queued: count.meta({ description: 'Enqueued, and without an outcome so far.' }),
    accepted: count,
    rejected: count,
    expired: count,
    cancelled: count,
    dead: count,
    replayed: z.literal(true).optional(),
  })
  .meta({ id: 'Broadcast' });
export type BroadcastAnswer = z.infer<typeof broadcastSchema>;

export const broadcastPageSchema = z
  .strictObject({
    broadcasts: z.array(broadcastSchema),
    next: nextOf(z.uuid()),
  })
  .meta({ id: 'BroadcastPage' });

function termsOf(expression: TagExpression): number {
  if (typeof expression === 'string') return 1;
  if ('not' in expression) return 1 + termsOf(expression.not);
  const parts = 'and' in expression ? expression.and : expression.or;
  return parts.reduce((sum, part) => sum + termsOf(part), 1);
}
