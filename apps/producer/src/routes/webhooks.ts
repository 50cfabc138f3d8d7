import { randomBytes, randomUUID } from 'node:crypto';
import { type Delivery, eventKinds, pageOf, type Webhook } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { entryOf } from '../audit/audit-origin.ts';
import { isVisible } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';
import { invalidRequest, Problem } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { id } from '../schemas/id-schema.ts';
import { appId } from '../schemas/notification-schemas.ts';
import { afterOf, formerlyAfter } from '../schemas/page-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import {
  deliveryPageSchema,
  resendAnswerSchema,
  resendRequestSchema,
  testAnswerSchema,
  type WebhookAnswer,
  webhookRequestSchema,
  webhookSchema,
} from '../schemas/webhook-schemas.ts';
import { wholeNumber } from '../schemas/whole-number.ts';
import { checkUrl, DestinationError } from '../webhooks/destination.ts';
import { secretText } from '../webhooks/sign.ts';
import { checkApp } from './check-app.ts';

const params = z.object({ id });
const refusals = ['invalid-request', 'internal', 'database-unavailable'] as const;

const deliveryCursor = z.string().regex(/^\d{1,18}$/, 'must be `next` of the page before');

export function addWebhookRoutes(server: ProducerServer, context: ProducerContext): void {
  const { database, webhookRules } = context;

  server.post(
    '/v1/webhooks',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'Have events of an app delivered to a URL',
        description:
          'Each is a POST of `{type, timestamp, data}`, signed as Standard Webhooks 1.0 says, and made until it is ' +
          'answered with 2xx. It may come twice: its `webhook-id` is the same then.',
        body: webhookRequestSchema,
        response: { 201: webhookSchema, ...problems(...refusals, ...bodyProblems, 'unknown-app') },
      },
    },
    async (request, reply) => {
      const { app, url, kinds } = request.body;
      checkApp(context, request, app);
      try {
        checkUrl(url, webhookRules);
      } catch (error) {
        if (error instanceof DestinationError) throw invalidRequest('url', error.message);
        throw error;
      }
      const secret = randomBytes(32);
      const created = { id: randomUUID(), app, url, kinds: kinds ?? null, secret };
      const webhook = await database.store.change(async ({ webhooks }) => {
        const value = await webhooks.create(created);
        const change = { action: 'webhook.create', app, target: value.id, before: null } as const;
        return { value, entry: entryOf(request, { ...change, after: auditedOf(value) }) };
      });
      void reply.code(201);
      return { ...answerOf(webhook), secret: secretText(secret) };
    },
  );

  server.get(
    '/v1/webhooks',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'The webhooks of an app, in the order of their ids',
        querystring: z.strictObject({
          app: appId,
          after: id.optional().meta({ description: '`next` of the page before.' }),
          limit: wholeNumber({ min: 1, max: 500, byDefault: 100 }),
        }),
        response: {
          200: z.strictObject({
            webhooks: z.array(webhookSchema),
            next: z
              .uuid()
              .nullable()
              .meta({ description: 'Give it as `after`; null: that was the last page.' }),
          }),
          ...problems(...refusals, 'unknown-app'),
        },
      },
    },
    async (request) => {
      const { app, after, limit } = request.query;
      checkApp(context, request, app);
      const found = await database.store.webhooks.list(app, { after, limit: limit + 1 });
      const { rows, last } = pageOf(found, limit);
      return { webhooks: rows.map(answerOf), next: last?.id ?? null };
    },
  );

  server.delete(
    '/v1/webhooks/:id',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'Remove a webhook, and what is on its way to it',
        params,
        response: {
          204: z.undefined().meta({ description: 'It is gone.' }),
          ...problems(...refusals, 'unknown-webhook'),
        },
      },
    },
    async (request, reply) => {
      const webhook = await find(request);
      const { id, app } = webhook;
      await database.store.change(async ({ webhooks }) => {
        const change = { action: 'webhook.delete', app, target: id, before: auditedOf(webhook) } as const;
        const isGone = await webhooks.remove(id);
        return { value: isGone, entry: isGone ? entryOf(request, { ...change, after: null }) : undefined };
      });
      return reply.code(204).send();
    },
  );

  server.get(
    '/v1/webhooks/:id/deliveries',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'What has been delivered to a webhook, and what not, the newest first',
        params,
        querystring: z.strictObject({
          after: afterOf(deliveryCursor),
          before: formerlyAfter(deliveryCursor),
          limit: wholeNumber({ min: 1, max: 500, byDefault: 50 }),
        }),
        response: { 200: deliveryPageSchema, ...problems(...refusals, 'unknown-webhook') },
      },
    },
    async (request) => {
      const { id } = await find(request);
      const { before, after = before, limit } = request.query;
      const found = await database.store.webhooks.deliveries(id, { before: after, limit: limit + 1 });
      const { rows, last } = pageOf(found, limit);
      return { deliveries: rows.map(deliveryOf), next: last?.id ?? null };
    },
  );

  server.post(
    '/v1/webhooks/:id/test',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'Have a test event delivered to a webhook',
        description:
          'An event of the type `webhook.test`, signed and repeated as every other; the log tells what became of it.',
        params,
        response: { 202: testAnswerSchema, ...problems(...refusals, 'unknown-webhook', 'webhook-inactive') },
      },
    },
    async (request, reply) => {
      const webhook = await find(request);
      const deliveryId = await database.store.change(async ({ webhooks }) => {
        const value = await webhooks.test(webhook.id);
        const change = {
          action: 'webhook.test',
          app: webhook.app,
          target: webhook.id,
          before: null,
        } as const;
        const entry =
          value === undefined ? undefined : entryOf(request, { ...change, after: { deliveryId: value } });
        return { value, entry };
      });
      if (deliveryId === undefined) throw inactive(webhook);
      void reply.code(202);
      return { deliveryId };
    },
  );

  server.post(
    '/v1/webhooks/:id/resend',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Webhooks'],
        summary: 'Have events delivered again that a webhook did not take',
        description:
          'Deliveries whose attempts were used up are pending again, from the first attempt on; their `webhook-id` stays.',
        params,
        body: resendRequestSchema,
        response: {
          202: resendAnswerSchema,
          ...problems(...refusals, ...bodyProblems, 'unknown-webhook', 'webhook-inactive'),
        },
      },
    },
    async (request, reply) => {
      const webhook = await find(request);
      if (!webhook.active) throw inactive(webhook);
      const ids = await database.store.change(async ({ webhooks }) => {
        const value = await webhooks.resend(webhook.id, request.body.deliveryIds);
        const change = {
          action: 'webhook.resend',
          app: webhook.app,
          target: webhook.id,
          before: null,
        } as const;
        const entry =
          value.length === 0 ? undefined : entryOf(request, { ...change, after: { resent: value.length } });
        return { value, entry };
      });
      void reply.code(202);
      return { resent: ids.length, deliveryIds: ids.slice(0, 1_000) };
    },
  );

  async function find(request: FastifyRequest<{ Params: { id: string } }>): Promise<Webhook> {
    const { id } = request.params;
    const webhook = await database.store.webhooks.get(id);
    if (webhook !== undefined && isVisible(request, webhook.app)) return webhook;
    throw new Problem('unknown-webhook', `there is no webhook ${id}`);
  }
}

/** Of the URL what it is for: the rest of it may be a secret. */
function auditedOf({ url, kinds, active }: Webhook) {
  return { origin: new URL(url).origin, kinds, active };
}

function inactive({ id }: Webhook): Problem {
  return new Problem(
    'webhook-inactive',
    `the far end of webhook ${id} has answered 410: remove it, and make another one`,
  );
}

function answerOf({ id, app, url, kinds, active, createdAt }: Webhook): WebhookAnswer {
  return {
    webhookId: id,
    app,
    url,
    kinds: [...(kinds ?? eventKinds)],
    active,
    createdAt: createdAt.toISOString(),
  };
}

function deliveryOf(delivery: Delivery) {
  const { id, kind, state, attempts, occurredAt, nextAttemptAt, settledAt, lastStatus, lastError } = delivery;
  return {
    ...{ deliveryId: id, kind, state, attempts },
    occurredAt: occurredAt.toISOString(),
    ...(state === 'pending' ? { nextAttemptAt: nextAttemptAt.toISOString() } : {}),
    ...(settledAt === null ? {} : { settledAt: settledAt.toISOString() }),
    ...(lastStatus === null ? {} : { status: lastStatus }),
    ...(lastError === null ? {} : { error: lastError }),
  };
}
