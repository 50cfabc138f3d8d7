import { notificationId } from '@pushfleet/push-queue';
import {
  discardDeadLetter,
  listDeadLetters,
  readDeadLetter,
  replayDeadLetter,
  type StoredLetter,
} from '@pushfleet/push-queue/status';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import {
  type LetterSummary,
  letterDetailSchema,
  letterPageSchema,
  replayRequestSchema,
} from '../schemas/dead-letter-schemas.ts';
import { appId, sendAnswerSchema } from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import type { ProducerServer } from '../server.ts';
import { checkApp } from './check-app.ts';

const params = z.object({
  app: appId,
  id: z.string().regex(/^[\w-]{1,100}$/, 'must be the id of a dead letter'),
});
const refusals = ['invalid-request', 'unknown-app', 'internal', 'redis-unavailable'] as const;

export function addDeadLetterRoutes(server: ProducerServer, context: ProducerContext): void {
  const { redis, queue } = context;

  server.get(
    '/v1/apps/:app/dead-letters',
    {
      schema: {
        tags: ['Dead letters'],
        summary: 'The dead letters of an app, the newest first',
        params: params.pick({ app: true }),
        querystring: z.strictObject({
          offset: z.coerce.number().int().min(0).default(0),
          limit: z.coerce.number().int().min(1).max(100).default(20),
        }),
        response: { 200: letterPageSchema, ...problems(...refusals) },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const { letters, total } = await listDeadLetters(redis, app, request.query);
      return { letters: letters.map((letter) => summaryOf(app, letter)), total };
    },
  );

  server.get(
    '/v1/apps/:app/dead-letters/:id',
    {
      schema: {
        tags: ['Dead letters'],
        summary: 'A dead letter with what is in it',
        params,
        response: { 200: letterDetailSchema, ...problems(...refusals, 'unknown-dead-letter') },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const stored = await find(app, request.params.id);
      const summary = summaryOf(app, stored);
      if (stored.name === 'poisoned') return { summary, raw: stored.letter.raw };
      return { summary, notifications: notificationsIn(stored) };
    },
  );

  server.post(
    '/v1/apps/:app/dead-letters/:id/replay',
    {
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
          ),
        },
      },
    },
    async (request, reply) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const stored = await find(app, request.params.id);
      if (stored.name === 'poisoned') {
        throw new Problem(
          'not-replayable',
          `the data of ${stored.id} cannot be read: ${stored.letter.error}`,
        );
      }
      const { ttl } = request.body;
      const { batchId, notificationIds, replayed } = await replayDeadLetter(
        redis,
        queue,
        stored,
        ttl === undefined ? {} : { ttl },
      );
      void reply.code(202);
      return { batchId, notificationIds: [...notificationIds], ...(replayed ? { replayed } : {}) };
    },
  );

  server.delete(
    '/v1/apps/:app/dead-letters/:id',
    {
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
      if (!(await discardDeadLetter(redis, app, request.params.id))) throw unknownLetter(request.params.id);
      return reply.code(204).send();
    },
  );

  async function find(app: string, id: string): Promise<StoredLetter> {
    const stored = await readDeadLetter(redis, app, id);
    if (stored === undefined) throw unknownLetter(id);
    return stored;
  }
}

function summaryOf(app: string, stored: StoredLetter): LetterSummary {
  const head = { id: stored.id, app, at: new Date(stored.letter.atMs).toISOString() };
  if (stored.name === 'poisoned') return { ...head, kind: 'poisoned', error: stored.letter.error };
  const { job, reasons } = stored.letter;
  const byReason = Map.groupBy(Object.values(reasons), (reason) => reason);
  return {
    ...head,
    kind: 'dead',
    lane: job.lane,
    batchId: job.batch,
    count: job.count,
    reasons: Object.fromEntries([...byReason].map(([reason, all]) => [reason, all.length])),
  };
}

function notificationsIn({ letter }: Extract<StoredLetter, { name: 'dead' }>) {
  const { job, reasons } = letter;
  const bytes = Buffer.from(job.tokens, 'base64');
  let offset = 0;
  return Array.from({ length: job.count }, (_, place) => {
    const index = typeof job.index === 'number' ? job.index + place : job.index[place]!;
    const length = typeof job.tokenLength === 'number' ? job.tokenLength : job.tokenLength[place]!;
    const token = bytes.toString('hex', offset, offset + length);
    offset += length;
    return {
      notificationId: notificationId(job.batch, index),
      index,
      token,
      reason: reasons[index] ?? 'unknown',
    };
  });
}

function unknownLetter(id: string): Problem {
  return new Problem('unknown-dead-letter', `there is no dead letter ${id}`);
}
