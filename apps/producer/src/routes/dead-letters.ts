import { notificationId } from '@pushfleet/push-queue';
import {
  discardDeadLetter,
  type FoundLetter,
  type ListedLetter,
  letterIndex,
  listDeadLetters,
  readDeadLetter,
  replayDeadLetter,
  type StoredLetter,
} from '@pushfleet/push-queue/status';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import {
  type LetterSummary,
  letterDetailSchema,
  letterPageSchema,
  letterQuerySchema,
  replayRequestSchema,
} from '../schemas/dead-letter-schemas.ts';
import { appId, sendAnswerSchema } from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

const params = z.object({
  app: appId,
  id: z
    .string()
    .regex(/^[\w-]{1,100}$/, 'must be the id of a dead letter')
    .overwrite((id) => id.toLowerCase()),
});
const refusals = ['invalid-request', 'unknown-app', 'internal', 'redis-unavailable'] as const;

export function addDeadLetterRoutes(server: ProducerServer, context: ProducerContext): void {
  const { audit, redis, queue } = context;

  server.get(
    '/v1/apps/:app/dead-letters',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'The dead letters of an app, the newest first',
        params: params.pick({ app: true }),
        querystring: letterQuerySchema,
        response: { 200: letterPageSchema, ...problems(...refusals) },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const { limit, cursor: former, after: cursor = former } = request.query;
      const { letters, next = null, ...sums } = await listDeadLetters(redis, app, { limit, cursor });
      return { letters: letters.map((letter) => summaryOf(app, letter)), ...sums, next };
    },
  );

  server.get(
    '/v1/apps/:app/dead-letters/:id',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'A dead letter with what is in it',
        params,
        response: { 200: letterDetailSchema, ...problems(...refusals, 'unknown-dead-letter') },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const { stored, listed } = await find(app, request.params.id);
      const summary = summaryOf(app, listed);
      if (stored.name === 'poisoned') return { summary, raw: stored.letter.raw };
      return { summary, notifications: notificationsIn(stored) };
    },
  );

  server.post(
    '/v1/apps/:app/dead-letters/:id/replay',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'Send what is in a dead letter again',
        description:
          'As a batch of its own, once however often it is asked for; the letter is gone afterwards.',
        params,
        body: replayRequestSchema,
        response: {
          202: sendAnswerSchema,
          ...problems(
            ...refusals,
            ...bodyProblems,
            'unknown-dead-letter',
            'not-replayable',
            'redis-timeout',
            'backpressure',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request, reply) => {
      const { id: app } = checkApp(context, request, request.params.app);
      context.room?.check();
      const { stored } = await find(app, request.params.id);
      if (stored.name === 'poisoned') {
        throw new Problem(
          'not-replayable',
          `the data of ${stored.id} cannot be read: ${stored.letter.error}`,
        );
      }
      const before = { count: stored.letter.job.count };
      const change = { action: 'dead-letters.replay', app, target: stored.id, before } as const;
      const { batchId, notifications, replayed } = await audit.record(request, change, async () => {
        const result = await replayDeadLetter(redis, queue, app, stored.id, request.body);
        if (result === undefined) throw unknownLetter();
        return { value: result, after: { batchId: result.batchId, notifications: result.notifications } };
      });
      void reply.code(202);
      const notificationIds = Array.from({ length: notifications }, (_, place) =>
        notificationId(batchId, place + 1),
      );
      return { batchId, notificationIds, ...(replayed ? { replayed } : {}) };
    },
  );

  server.delete(
    '/v1/apps/:app/dead-letters/:id',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'Throw a dead letter away',
        params,
        response: {
          204: z.undefined().meta({ description: 'It is gone.' }),
          ...problems(...refusals, 'unknown-dead-letter'),
        },
      },
    },
    async (request, reply) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const { id } = request.params;
      const { listed } = await find(app, id);
      const before =
        listed.kind === 'dead' ? { kind: 'dead', reasons: listed.reasons } : { kind: listed.kind };
      const change = { action: 'dead-letters.discard', app, target: id, before } as const;
      await audit.record(request, change, async () => {
        if (!(await discardDeadLetter(redis, app, id))) throw unknownLetter();
        return { value: undefined, after: {} };
      });
      return reply.code(204).send();
    },
  );

  async function find(app: string, id: string): Promise<FoundLetter> {
    const found = await readDeadLetter(redis, app, id);
    if (found === undefined) throw unknownLetter();
    return found;
  }
}

function summaryOf(app: string, listed: ListedLetter): LetterSummary {
  const { id, bytes, kind, atMs } = listed;
  const head = { id, app, at: new Date(atMs).toISOString(), bytes };
  if (kind === 'poisoned') return { ...head, kind, error: listed.error };
  const { lane, batch: batchId, count, reasons, others } = listed;
  return { ...head, kind, lane, batchId, count, reasons, ...(others === undefined ? {} : { others }) };
}

function notificationsIn({ letter }: Extract<StoredLetter, { name: 'dead' }>) {
  const { job, reasons, deaths = {} } = letter;
  const bytes = Buffer.from(job.tokens, 'base64');
  let offset = 0;
  return Array.from({ length: job.count }, (_, place) => {
    const index = letterIndex(job, place);
    const length = typeof job.tokenLength === 'number' ? job.tokenLength : job.tokenLength[place]!;
    const token = bytes.toString('hex', offset, offset + length);
    offset += length;
    const { status, atMs } = deaths[index] ?? {};
    return {
      notificationId: notificationId(job.batch, index),
      index,
      token,
      reason: reasons[index] ?? 'unknown',
      ...(status === undefined ? {} : { status }),
      ...(atMs === undefined ? {} : { at: new Date(atMs).toISOString() }),
    };
  });
}

/** Without the id that was asked for: it may be anything. */
function unknownLetter(): Problem {
  return new Problem('unknown-dead-letter', 'the app has no such dead letter');
}
