import type { BatchInput, SendInput } from '@pushfleet/push-queue';
import { PushQueueError } from '@pushfleet/push-queue';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { notificationsIn } from '../auth/notification-rates.ts';
import type { ProducerContext } from '../context.ts';
import { fieldErrors, summarize } from '../http/field-errors.ts';
import { Problem } from '../http/problem.ts';
import { problemOf } from '../http/problem-of.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { readIdempotencyKey } from '../notifications/idempotency-key.ts';
import { sendToUsers } from '../notifications/send-to-users.ts';
import {
  type SendAnswer,
  sendAnswerSchema,
  sendManySchema,
  sendOneSchema,
  sendRequestSchema,
} from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

/**
 * 5,000 notifications, each with a payload of its own of 1,300 bytes. What a batch writes to Redis is one transaction,
 * and everybody waits for it: 8 MiB are some 20 ms.
 */
const bodyLimit = 8 * 1024 * 1024;

/** Notifications of a batch in which the schema looks for more faults than the first. */
const fewNotifications = 100;

export function addNotificationRoutes(server: ProducerServer, context: ProducerContext): void {
  server.route({
    method: 'POST',
    url: '/v1/notifications',
    bodyLimit,
    config: { scopes: ['send'] },
    schema: {
      tags: ['Sending'],
      summary: 'Send one notification, or many',
      description:
        '`202` means that Redis has it, and that it will end in exactly one outcome. To users it needs Postgres, ' +
        'to device tokens it does not.',
      headers: z.object({ 'idempotency-key': z.string().optional() }),
      body: sendRequestSchema,
      response: {
        202: sendAnswerSchema,
        ...problems(
          ...bodyProblems,
          'invalid-notification',
          'unknown-app',
          'idempotency-conflict',
          'no-devices',
          'quota-exceeded',
          'internal',
          'backpressure',
          'redis-unavailable',
          'redis-timeout',
          'database-unavailable',
          'stopping',
        ),
      },
    },
    // The push queue checks what it is given, by hand: once is enough where it has to be fast.
    validatorCompiler: () => (value) => ({ value }),
    handler: async (request, reply) => {
      try {
        return await enqueue(request, reply, context);
      } catch (error) {
        const problem = explain(error, request.body);
        context.metrics.enqueueRefused(problem.code);
        throw problem;
      }
    },
  });
}

async function enqueue(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ProducerContext,
): Promise<SendAnswer> {
  context.room?.check();
  const body = withIdempotencyKey(request.body, request.headers['idempotency-key']);
  const { app } = body as { app?: unknown };
  // Where a key is for some apps, others are as if they were not there, also for the checks that follow.
  if (request.grant.apps !== undefined && typeof app === 'string') checkApp(context, request, app);
  context.keys?.notificationRates?.take(request.grant, notificationsIn(body));
  const answer = await (namesUsers(body) ? sendToUsers(context, body) : send(context, body));
  void reply.code(202);
  if (answer.replayed === true) void reply.header('idempotency-replayed', 'true');
  return answer;
}

/** Whether Postgres has to be asked. Anything that is not as it should be is left to the checks that follow. */
function namesUsers(body: object): boolean {
  if ('userId' in body) return true;
  const { notifications } = body as { notifications?: unknown };
  if (!Array.isArray(notifications)) return false;
  return notifications.some((each: unknown) => typeof each === 'object' && each !== null && 'userId' in each);
}

async function send({ queue }: ProducerContext, body: object): Promise<SendAnswer> {
  const { batchId, notificationIds, replayed } =
    'notifications' in body
      ? await queue.enqueueBatch(body as unknown as BatchInput)
      : asBatch(await queue.enqueue(body as unknown as SendInput));
  const answer = { batchId, notificationIds: notificationIds as string[] };
  return replayed ? { ...answer, replayed } : answer;
}

function asBatch(sent: { batchId: string; notificationId: string; replayed: boolean }) {
  return { batchId: sent.batchId, notificationIds: [sent.notificationId], replayed: sent.replayed };
}

function withIdempotencyKey(body: unknown, header: string | string[] | undefined): object {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Problem('invalid-notification', 'the body must be an object');
  }
  if (header === undefined) return body;
  const idempotencyKey = readIdempotencyKey(header);
  const { idempotencyKey: inBody } = body as { idempotencyKey?: unknown };
  if (inBody !== undefined && inBody !== idempotencyKey) {
    const message = 'is another than the one in the body';
    throw new Problem('invalid-notification', `Idempotency-Key: ${message}`, {
      errors: [{ field: 'Idempotency-Key', message }],
    });
  }
  return { ...body, idempotencyKey };
}

/** The push queue has the last word and names the first fault that it finds; the schema finds others. */
function explain(error: unknown, body: unknown): Problem {
  const problem = problemOf(error);
  if (!(error instanceof PushQueueError) || error.code !== 'invalid-notification') return problem;
  const isMany = typeof body === 'object' && body !== null && 'notifications' in body;
  if (isMany && notificationsIn(body) > fewNotifications) return problem;
  const parsed = (isMany ? sendManySchema : sendOneSchema).safeParse(body, { reportInput: true });
  if (parsed.success) return problem;
  const found = fieldErrors(parsed.error, 'body');
  const known = new Set(found.map(({ field }) => field));
  const errors = [...found, ...problem.errors.filter(({ field }) => !known.has(field))];
  return new Problem('invalid-notification', summarize(errors), { errors, cause: error });
}
