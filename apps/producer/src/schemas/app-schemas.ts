import { pauseCauses, slowCauses, troubleKinds } from '@pushfleet/push-queue';
import { z } from 'zod';
import { appId } from './notification-schemas.ts';
import { certainty } from './status-schemas.ts';

const count = z.int().min(0);

const pauseCause = z.enum(pauseCauses).meta({ id: 'PauseCause' });

const pauseSchema = z.strictObject({
  cause: pauseCause,
  reason: z.string(),
  since: z.iso.datetime(),
});

const troubleSchema = z.strictObject({
  worker: z.string(),
  host: z.string(),
  about: z.enum(troubleKinds).meta({
    description:
      '`credential` and `topic`: the gateway said so; `worker`: this machine or its way to the gateway.',
  }),
  reason: z.string(),
  since: z.iso.datetime(),
  nextCheckAt: z.iso.datetime().meta({ description: 'When the gateway is asked again.' }),
});

const slowedSchema = z.strictObject({
  worker: z.string(),
  host: z.string(),
  cause: z.enum(slowCauses),
  since: z.iso.datetime(),
});

export const appStateSchema = z
  .strictObject({
    app: appId,
    topic: z.string(),
    environment: z.enum(['production', 'sandbox']),
    transport: z.enum(['binary', 'http2']),
    state: z.enum(['running', 'paused']),
    pauses: z.array(pauseSchema).meta({ description: 'Why it is paused; it runs when there is none.' }),
    workers: count.meta({ description: 'Workers alive that serve it.' }),
    troubles: z.array(troubleSchema).meta({
      description: 'Workers that take nothing of it, and why. It is paused only when no worker can send.',
    }),
    slowed: z.array(slowedSchema).meta({
      description: 'Workers that send only probes of it, since the gateway is in trouble.',
    }),
    credentialExpiresAt: z.iso.datetime().nullable().meta({
      description: 'As the sweepers have it loaded; null: none has said so, or it does not expire.',
    }),
  })
  .meta({ id: 'App' });
export type AppAnswer = z.infer<typeof appStateSchema>;

const laneSchema = z.strictObject({ wait: count, active: count, delayed: count });

const quotaUseSchema = z.strictObject({ used: count, limit: count });
const classSchema = z.strictObject({ notifications: quotaUseSchema, bytes: quotaUseSchema });

const totalsSchema = z
  .strictObject({
    enqueued: count.meta({ description: 'The sum of all counts below.' }),
    queued: count.meta({ description: 'Without an outcome so far.' }),
    accepted: count,
    certainty,
    rejected: count,
    expired: count,
    cancelled: count,
    dead: count,
  })
  .meta({ id: 'Totals' });
export type TotalsAnswer = z.infer<typeof totalsSchema>;

export const appDetailSchema = appStateSchema
  .extend({
    queue: z
      .strictObject({ transactional: laneSchema, bulk: laneSchema })
      .meta({ description: 'Push jobs by lane and by where they stand.' }),
    quota: z
      .strictObject({ queued: classSchema, scheduled: classSchema })
      .meta({ id: 'Quota', description: 'What it has in its queues, and what it may have at most.' }),
    deadLetters: count,
    totals: z
      .strictObject({ transactional: totalsSchema, bulk: totalsSchema })
      .meta({ description: 'Notifications since the app first sent, by lane.' }),
  })
  .meta({ id: 'AppDetail' });

export const pauseRequestSchema = z
  .strictObject({
    reason: z
      .string()
      .min(1)
      .max(500)
      .refine((text) => text.isWellFormed(), 'has half a character (a lone surrogate)')
      .default('by an operator'),
  })
  .default({ reason: 'by an operator' });

export const resumeRequestSchema = z
  .strictObject({
    causes: z.array(pauseCause).min(1).optional().meta({
      description:
        'Which pauses to lift. By default `operator` and `invalid-tokens`, which nothing else lifts.',
    }),
  })
  .default({});
