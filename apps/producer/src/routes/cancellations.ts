import { cancel, parseNotificationId } from '@pushfleet/push-queue';
import { readQueuedJobs } from '@pushfleet/push-queue/status';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { Problem, type ProblemCode } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { finishCancelling } from '../notifications/scheduled-send.ts';
import { id } from '../schemas/id-schema.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { type CancellationAnswer, cancellationSchema } from '../schemas/status-schemas.ts';
import { cancellationMs, readCancelRequest, remainingOf } from '../status/cancel-request.ts';
import { findBatch, findScheduled } from '../status/find-batch.ts';

const params = z.object({ id });

export function addCancellationRoutes(server: ProducerServer, context: ProducerContext): void {
  const route = (url: string, what: string, unknown: ProblemCode) =>
    server.delete(
      url,
      {
        config: { scopes: ['cancel'] },
        schema: {
          tags: ['Sending'],
          summary: `Cancel ${what}`,
          description:
            'What has not been written to the gateway ends as `cancelled`, when a worker takes it; the rest is sent ' +
            'already. Until then `cancelRequestedAt` of its status tells of the request.',
          params,
          response: {
            202: cancellationSchema,
            ...problems('invalid-request', unknown, 'already-settled', 'internal', 'redis-unavailable'),
          },
        },
      },
      async (request, reply) => {
        const answer = await cancelQueued(context, request, unknown);
        void reply.code(202);
        return answer;
      },
    );
  route('/v1/batches/:id', 'a batch', 'unknown-batch');
  route('/v1/notifications/:id', 'a notification', 'unknown-notification');
}

/** Needs no Postgres for what is in the queue. @throws Problem */
async function cancelQueued(
  context: ProducerContext,
  request: FastifyRequest<{ Params: { id: string } }>,
  unknown: ProblemCode,
): Promise<CancellationAnswer> {
  const { redis } = context;
  const { id } = request.params;
  const parsed = parseNotificationId(id);
  const isWhole = parsed?.index === 0;
  // A single send has no batch to itself: its batch id names one notification.
  if (parsed === undefined || (isWhole && unknown === 'unknown-notification')) throw notFound(unknown, id);
  const { batch, index } = parsed;
  let found = await findBatch(context, request, batch);
  if (found === undefined) {
    const cancelled = await cancelScheduled(context, request, unknown);
    if (cancelled !== undefined) return cancelled;
    // It has gone out since we looked.
    found = await findBatch(context, request, batch);
    if (found === undefined) throw settled(id);
  }
  if (index > found.size) throw notFound(unknown, id);
  const jobs = await readQueuedJobs(redis, found, isWhole ? undefined : index);
  const remaining = remainingOf(jobs);
  const isQueued = isWhole
    ? remaining.length > 0
    : remaining.some(([from, to]) => from <= index && index < to);
  if (!isQueued) throw settled(id);
  const earlier = await readCancelRequest(redis, found, remaining, index);
  const startMs = Math.max(...jobs.map((job) => job.startMs));
  const expiresInMs = Math.max(0, startMs - Date.now()) + cancellationMs;
  const queued = isWhole ? remaining.reduce((sum, [from, to]) => sum + to - from, 0) : 1;
  const located = found;
  return context.audit.record(request, changeOf(found.app, id, isWhole, { queued, earlier }), async () => {
    // An earlier request is made again: its marks may have been meant for an earlier time.
    await cancel(redis, located.app, batch, expiresInMs, isWhole ? undefined : [index]);
    const requestedAt = earlier ?? (await readCancelRequest(redis, located, remaining, index))!;
    const cancelRequestedAt = requestedAt.toISOString();
    const value = {
      id,
      queued,
      cancelRequestedAt,
      ...(earlier === undefined ? {} : { alreadyRequested: true as const }),
    };
    return { value, after: { cancelRequestedAt } };
  });
}

function changeOf(
  app: string,
  target: string,
  isWhole: boolean,
  { queued, earlier }: { readonly queued: number; readonly earlier: Date | null | undefined },
) {
  const action = isWhole ? ('batch.cancel' as const) : ('notification.cancel' as const);
  return { action, app, target, before: { queued, cancelRequestedAt: earlier?.toISOString() ?? null } };
}

/** What is to go out later; undefined: it has, or has ended. @throws Problem, TokenStoreError */
async function cancelScheduled(
  context: ProducerContext,
  request: FastifyRequest<{ Params: { id: string } }>,
  unknown: ProblemCode,
): Promise<CancellationAnswer | undefined> {
  const { id } = request.params;
  const { queue, redis, logger } = context;
  const { scheduledSends } = context.database.store;
  const { batch, index } = parseNotificationId(id)!;
  const scheduled = index === 0 ? await findScheduled(context, request, batch) : undefined;
  if (scheduled === undefined) throw notFound(unknown, id);
  const { app, size: queued, cancelRequestedAt: earlier } = scheduled;
  return context.audit.record(request, changeOf(app, id, true, { queued, earlier }), async () => {
    const cancelling = await scheduledSends.requestCancel(batch);
    if (cancelling === undefined) return { value: undefined, after: { settled: true } };
    try {
      await finishCancelling(cancelling, { queue, redis, scheduledSends });
    } catch (err) {
      // It is written down, and whoever runs what was scheduled goes on with it.
      logger.warn({ app, batch, err }, 'a cancellation could not be finished; trying again');
    }
    const cancelRequestedAt = cancelling.cancelRequestedAt!.toISOString();
    const value = {
      id,
      queued,
      cancelRequestedAt,
      ...(earlier === null ? {} : { alreadyRequested: true as const }),
    };
    return { value, after: { cancelRequestedAt } };
  });
}

function notFound(code: ProblemCode, id: string): Problem {
  return new Problem(code, `there is nothing with the id ${id}, or it is too old`);
}

function settled(id: string): Problem {
  return new Problem('already-settled', `nothing of ${id} waits to be sent any more`);
}
