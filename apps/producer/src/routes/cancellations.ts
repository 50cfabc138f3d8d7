import { cancel, parseNotificationId } from '@pushfleet/push-queue';
import { readQueuedJobs } from '@pushfleet/push-queue/status';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { authorizeApp } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';
import { Problem, type ProblemCode } from '../http/problem.ts';
import { id } from '../schemas/id-schema.ts';
import { problems } from '../schemas/problem-schemas.ts';
import type { ProducerServer } from '../server.ts';
import { findBatch } from '../status/find-batch.ts';

const params = z.object({ id });

/** How long a cancellation is kept beyond the time that a job is meant for: a backlog may hold it up. Milliseconds. */
const graceMs = 14 * 86_400_000;

const answerSchema = z.strictObject({ id: z.uuid(), queued: z.int().min(1) }).meta({
  id: 'Cancellation',
  description: '`queued`: notifications that had no outcome when it was asked for.',
});

export function addCancellationRoutes(server: ProducerServer, context: ProducerContext): void {
  const route = (url: string, what: string, unknown: ProblemCode) =>
    server.delete(
      url,
      {
        schema: {
          tags: ['Sending'],
          summary: `Cancel ${what}`,
          description:
            'What has not been written to the gateway ends as `cancelled`; the rest is sent already.',
          params,
          response: {
            202: answerSchema,
            ...problems('invalid-request', unknown, 'already-settled', 'internal', 'redis-unavailable'),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const queued = await cancelQueued(context, request, unknown);
        void reply.code(202);
        return { id, queued };
      },
    );
  route('/v1/batches/:id', 'a batch', 'unknown-batch');
  route('/v1/notifications/:id', 'a notification', 'unknown-notification');
}

/** Gives how many may still be cancelled. Needs no Postgres for what is in the queue. @throws Problem */
async function cancelQueued(
  context: ProducerContext,
  request: FastifyRequest<{ Params: { id: string } }>,
  unknown: ProblemCode,
): Promise<number> {
  const { redis } = context;
  const { id } = request.params;
  const parsed = parseNotificationId(id);
  const isWhole = parsed?.index === 0;
  // A single send has no batch to itself: its batch id names one notification.
  if (parsed === undefined || (isWhole && unknown === 'unknown-notification')) throw notFound(unknown, id);
  const found = await findBatch(context, parsed.batch);
  if (found === undefined) throw notFound(unknown, id);
  authorizeApp(request, found.app);
  if (parsed.index > found.size) throw notFound(unknown, id);
  const jobs = await readQueuedJobs(redis, found, isWhole ? undefined : parsed.index);
  const queued = jobs.reduce((sum, job) => {
    const remaining = job.progress?.remaining ?? [[job.firstIndex, job.firstIndex + job.count]];
    return sum + remaining.reduce((left, [from, to]) => left + countIn(from, to, isWhole, parsed.index), 0);
  }, 0);
  if (queued === 0) throw settled(id);
  const startMs = Math.max(...jobs.map((job) => job.startMs));
  const expiresInMs = Math.max(0, startMs - Date.now()) + graceMs;
  const indexes = isWhole ? undefined : [parsed.index];
  await cancel(redis, found.app, parsed.batch, expiresInMs, indexes);
  return queued;
}

function countIn(from: number, to: number, isWhole: boolean, index: number): number {
  if (isWhole) return to - from;
  return from <= index && index < to ? 1 : 0;
}

function notFound(code: ProblemCode, id: string): Problem {
  return new Problem(code, `there is nothing with the id ${id}, or it is too old`);
}

function settled(id: string): Problem {
  return new Problem('already-settled', `nothing of ${id} waits to be sent any more`);
}
