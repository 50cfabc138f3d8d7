import { deliveryStates, eventKinds } from '@pushfleet/token-store';
import { z } from 'zod';
import { appId } from './notification-schemas.ts';
import { nextOf } from './page-schemas.ts';

const instant = z.iso.datetime();
const kind = z.enum(eventKinds).meta({ id: 'EventKind' });

export const webhookRequestSchema = z
  .strictObject({
    app: appId,
    url: z
      .string()
      .max(2_000)
      .meta({ examples: ['https://example.com/pushfleet'] }),
    kinds: z.array(kind).min(1).optional().meta({ description: 'All by default.' }),
  })
  .meta({ id: 'WebhookRequest' });

export const webhookSchema = z
  .strictObject({
    webhookId: z.uuid(),
    app: appId,
    url: z.string(),
    kinds: z.array(kind),
    active: z.boolean().meta({ description: 'False: the far end has answered 410.' }),
    createdAt: instant,
    secret: z.string().optional().meta({
      description: 'Told once, when it is made: signatures are those of Standard Webhooks 1.0.',
    }),
  })
  .meta({ id: 'Webhook' });
export type WebhookAnswer = z.infer<typeof webhookSchema>;

const deliverySchema = z
  .strictObject({
    deliveryId: z.string(),
    kind: z.string(),
    state: z.enum(deliveryStates),
    attempts: z.int().min(0),
    occurredAt: instant,
    nextAttemptAt: instant.optional(),
    settledAt: instant.optional(),
    status: z.int().optional().meta({ description: 'What the far end last answered.' }),
    error: z.string().optional(),
  })
  .meta({ id: 'WebhookDelivery' });

export const deliveryPageSchema = z
  .strictObject({
    deliveries: z.array(deliverySchema),
    next: nextOf(z.string()),
  })
  .meta({ id: 'WebhookDeliveryPage' });

const deliveryId = z.string().regex(/^\d{1,18}$/, 'must be a `deliveryId`, such as "1042"');

export const testAnswerSchema = z
  .strictObject({ deliveryId: z.string().meta({ description: 'As in the log of deliveries.' }) })
  .meta({ id: 'WebhookTest' });

export const resendRequestSchema = z
  .strictObject({
    deliveryIds: z.array(deliveryId).min(1).max(1_000).optional().meta({
      description: 'Those of them that failed; all that failed by default.',
    }),
  })
  .default({})
  .meta({ id: 'WebhookResend' });

export const resendAnswerSchema = z
  .strictObject({
    resent: z.int().min(0),
    deliveryIds: z.array(z.string()).meta({ description: 'The first 1,000 of them.' }),
  })
  .meta({ id: 'WebhookResent' });
