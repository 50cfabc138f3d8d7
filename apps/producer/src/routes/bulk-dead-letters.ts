import { type DeadLetterFilter, discardStep, replayStep } from '@pushfleet/push-queue/status';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import {
  bulkDiscardAnswerSchema,
  bulkDiscardRequestSchema,
  bulkReplayAnswerSchema,
  bulkReplayRequestSchema,
} from '../schemas/dead-letter-schemas.ts';
import { appId } from '../schemas/notification-schemas.ts';
import { bodyProblems, problems } from '../schemas/problem-schemas.ts';
import { checkApp } from './check-app.ts';

const params = z.object({ app: appId });
const refusals = [
  'invalid-request',
  'unknown-app',
  'internal',
  'redis-unavailable',
  ...bodyProblems,
] as const;

/** Each request takes one step, so that nothing goes on here that could be lost: docs/decisions/0071-dead-letters.md. */
export function addBulkDeadLetterRoutes(server: ProducerServer, context: ProducerContext): void {
  const { audit, redis, queue } = context;

  server.post(
    '/v1/apps/:app/dead-letters/replay',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'Send some of what a filter means again',
        description:
          'The newest first, each as a batch of its own, and out of its letter; what a letter holds beside it stays. Ask again with `next` as `cursor` until it is null, as fast as you want to send. Interrupted and begun anew, it enqueues nothing twice.',
        params,
        body: bulkReplayRequestSchema,
        response: {
          200: bulkReplayAnswerSchema,
          ...problems(...refusals, 'redis-timeout', 'backpressure', 'quota-exceeded'),
        },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      context.room?.check();
      const { limit, cursor, ttl } = request.body;
      const filter = filterOf(request.body);
      const change = { action: 'dead-letters.replay', app, target: null, before: { filter } } as const;
      return audit.record(request, change, async () => {
        const { letters, next = null } = await replayStep(redis, queue, app, filter, { limit, cursor, ttl });
        const replayed = letters.flatMap((one) => ('error' in one ? [] : [one]));
        const value = {
          notifications: replayed.reduce((sum, { notifications }) => sum + notifications, 0),
          letters: replayed.map(({ letter: id, batchId, notifications }) => ({ id, batchId, notifications })),
          refused: letters.flatMap((one) => ('error' in one ? [{ id: one.letter, detail: one.error }] : [])),
          next,
        };
        const { notifications, refused } = value;
        return { value, after: { notifications, letters: replayed.length, refused: refused.length } };
      });
    },
  );

  server.post(
    '/v1/apps/:app/dead-letters/discard',
    {
      config: { scopes: ['admin'] },
      schema: {
        tags: ['Dead letters'],
        summary: 'Throw some of what a filter means away',
        description:
          'The newest first; what a letter holds beside it stays. Ask again with `next` as `cursor` until it is null.',
        params,
        body: bulkDiscardRequestSchema,
        response: { 200: bulkDiscardAnswerSchema, ...problems(...refusals) },
      },
    },
    async (request) => {
      const { id: app } = checkApp(context, request, request.params.app);
      const { limit, cursor } = request.body;
      const filter = filterOf(request.body);
      const change = { action: 'dead-letters.discard', app, target: null, before: { filter } } as const;
      return audit.record(request, change, async () => {
        const { letters, next = null } = await discardStep(redis, app, filter, { limit, cursor });
        const parts = letters.filter(({ isPart }) => isPart).length;
        const notifications = letters.reduce((sum, one) => sum + one.notifications, 0);
        const after = { notifications, letters: letters.length - parts, parts };
        return { value: { ...after, next }, after };
      });
    },
  );
}

function filterOf({
  reason,
  lane,
  since,
  until,
}: z.infer<typeof bulkDiscardRequestSchema>): DeadLetterFilter {
  return { reason, lane, sinceMs: epochMs(since), untilMs: epochMs(until) };
}

function epochMs(time: number | string | undefined): number | undefined {
  return typeof time === 'number'
    ? Math.floor(time * 1_000)
    : time === undefined
      ? undefined
      : Date.parse(time);
}
