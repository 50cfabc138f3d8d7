import { lanes } from '@pushfleet/push-queue';
import { type EventKind, eventKinds } from '@pushfleet/token-store';
import { z } from 'zod';

// What is posted to webhooks, by its `type`: for the section `webhooks` of OpenAPI. The statements and programs that write
// the events are in token-store and in the sweeper; a test compares.

const instant = z.iso.datetime({ offset: true });
const count = z.int().min(0);
const app = z.string().meta({ description: 'Id of the app.' });
const pause = {
  app,
  cause: z.string(),
  reason: z.string().meta({ description: 'For people.' }),
  sinceMs: z.number().meta({ description: 'Epoch milliseconds.' }),
};

export const eventDataSchemas = {
  'batch.finished': z.strictObject({
    app,
    batch: z.uuid().meta({
      description: 'Of a single send: the id that the caller got, with `00000000` for its last eight digits.',
    }),
    lane: z.enum(lanes),
    size: count,
    acceptedProved: count,
    acceptedPresumed: count,
    rejected: count,
    expired: count,
    cancelled: count,
    dead: count,
    finishedAt: instant,
  }),
  'notifications.rejected': z.strictObject({
    app,
    batch: z.uuid(),
    notifications: z.array(
      z.strictObject({
        index: count.meta({ description: 'Its place in the batch.' }),
        notificationId: z.uuid(),
        token: z.string().optional(),
        reason: z.string().optional().meta({ description: 'As Apple calls it, such as `BadDeviceToken`.' }),
        status: z.int().optional(),
        atMs: z.number().optional().meta({ description: 'Epoch milliseconds.' }),
      }),
    ),
  }),
  'devices.deactivated': z.strictObject({
    app,
    source: z.string().meta({ description: 'What is known from: the gateway, or the feedback service.' }),
    status: z.int().nullable(),
    devices: z.array(
      z.strictObject({
        token: z.string(),
        userId: z.string().nullable(),
        evidenceAt: instant.nullable(),
      }),
    ),
  }),
  'app.paused': z.strictObject(pause),
  'app.resumed': z.strictObject(pause),
  'credential.expiring': z.strictObject({
    app,
    daysLeft: z.int().meta({ description: 'Below 0: it has expired.' }),
    threshold: z.int(),
    notAfter: instant,
    fingerprint: z.string().meta({ description: 'SHA-256 of the certificate.' }),
  }),
  'webhook.test': z.strictObject({ app, webhookId: z.uuid(), message: z.string() }),
} as const satisfies Readonly<Record<EventKind | 'webhook.test', z.ZodType>>;

export type PostedKind = keyof typeof eventDataSchemas;

const summaries: Readonly<Record<PostedKind, string>> = {
  'batch.finished': 'Everything of a batch has an outcome',
  'notifications.rejected': 'The gateway refused notifications, up to 1,000 in one event',
  'devices.deactivated': 'Devices are gone, up to 500 in one event',
  'app.paused': 'An app is paused',
  'app.resumed': 'An app runs again',
  'credential.expiring': 'A certificate will expire, or has',
  'webhook.test': 'A test that was asked for; every webhook gets it, whatever its kinds',
};

/** The section `webhooks` of OpenAPI 3.1. */
export function describeWebhooks(): Record<string, object> {
  const kinds: readonly PostedKind[] = [...eventKinds, 'webhook.test'];
  return Object.fromEntries(kinds.map((kind) => [kind, { post: describePost(kind) }]));
}

function describePost(kind: PostedKind): object {
  const envelope = z.strictObject({
    type: z.literal(kind),
    timestamp: z.iso.datetime().meta({ description: 'When it happened.' }),
    data: eventDataSchemas[kind],
  });
  const { $schema: _, ...schema } = z.toJSONSchema(envelope);
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: true,
    description,
    schema: { type: 'string' },
  });
  return {
    tags: ['Webhooks'],
    summary: summaries[kind],
    description: 'Signed as [Standard Webhooks](https://www.standardwebhooks.com) 1.0 says.',
    parameters: [
      header('webhook-id', 'The same at every attempt.'),
      header('webhook-timestamp', 'Of the attempt, in seconds.'),
      header(
        'webhook-signature',
        '`v1,` and the HMAC-SHA256, base64, of id, timestamp and body, joined by dots.',
      ),
    ],
    requestBody: { required: true, content: { 'application/json': { schema } } },
    responses: {
      '2XX': { description: 'It has been taken.' },
      410: { description: 'The webhook is switched off: nothing more is delivered to it.' },
      default: { description: 'It is delivered again, for three days.' },
    },
  };
}
