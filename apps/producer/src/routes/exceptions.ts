import {
  type BatchId,
  type NotificationId,
  notificationId,
  parseNotificationId,
} from '@pushfleet/push-queue';
import { type BatchException, type ExceptionPlace, pageOf } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { hasScope, isVisible } from '../auth/grant.ts';
import { checkStillGood } from '../auth/while-good.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { id } from '../schemas/id-schema.ts';
import { problems } from '../schemas/problem-schemas.ts';
import {
  broadcastExceptionPageSchema,
  broadcastExceptionSchema,
  type ExceptionAnswer,
  exceptionPageSchema,
  exceptionSchema,
} from '../schemas/status-schemas.ts';
import { wholeNumber } from '../schemas/whole-number.ts';
import { answerExceptions } from '../status/exception-pages.ts';
import { type Asker, findReported, findScheduled } from '../status/find-batch.ts';

const params = z.object({ id });
const after = { description: '`next` of the page before.' };
export const listFields = {
  limit: wholeNumber({ min: 1, max: 5_000, byDefault: 1_000 }),
  format: z.enum(['json', 'csv', 'ndjson']).optional().meta({
    description:
      'Of `csv` and `ndjson` all are sent, from `after` on. By default as the header `accept` says.',
  }),
};
const ofBatch = z.strictObject({
  after: wholeNumber({ min: 0, byDefault: 0 }).meta(after),
  ...listFields,
});
const ofBroadcast = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,9}-\d{1,10}$/, 'must be `next` of a page')
    .default('0-0')
    .meta(after),
  ...listFields,
});

export const exceptionColumns = [
  'index',
  'notificationId',
  'token',
  'outcome',
  'reason',
  'gatewayStatus',
  'at',
] as const;

export function addExceptionRoutes(server: ProducerServer, context: ProducerContext): void {
  const { database } = context;

  server.get(
    '/v1/batches/:id/exceptions',
    {
      config: { scopes: ['exceptions'] },
      schema: {
        tags: ['Status'],
        summary: 'The notifications of a batch that were not simply accepted',
        description:
          'In order, as far as outcome reports have been written to the database. Of a single send, whose batch id is ' +
          'its notification id, that one notification.',
        params,
        querystring: ofBatch,
        response: {
          200: answers(exceptionPageSchema, exceptionSchema),
          ...problems(
            'invalid-request',
            'unknown-batch',
            'internal',
            'database-unavailable',
            'redis-unavailable',
          ),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { batch, index } = await findBatch(request, id);
      const show = answerIn(request);
      const read = index === 0 ? pagesOfBatch(batch, show) : pagesOfOne(batch, index, show);
      const list = { name: id, columns: exceptionColumns, read: whileAllowed(context, request, read) };
      return answerExceptions(request, reply, list, request.query);
    },
  );

  server.get(
    '/v1/broadcasts/:id/exceptions',
    {
      config: { scopes: ['exceptions'] },
      schema: {
        tags: ['Broadcasts'],
        summary: 'The notifications of a broadcast that were not simply accepted',
        description:
          'Which devices were refused, and why: in the order in which they were enqueued, as far as outcome reports ' +
          'have been written to the database.',
        params,
        querystring: ofBroadcast,
        response: {
          200: answers(broadcastExceptionPageSchema, broadcastExceptionSchema),
          ...problems('invalid-request', 'unknown-broadcast', 'internal', 'database-unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const broadcast = await database.store.broadcasts.get(id);
      if (broadcast === undefined || !isVisible(request, broadcast.app)) throw unknownBroadcast(id);
      const read = whileAllowed(context, request, pagesOfBroadcast(id, answerIn(request)));
      const list = { name: id, columns: ['batchId', ...exceptionColumns] as const, read };
      return answerExceptions(request, reply, list, request.query);
    },
  );

  /** @throws Problem, TokenStoreError */
  async function findBatch(asker: Asker, id: NotificationId): Promise<{ batch: BatchId; index: number }> {
    const parsed = parseNotificationId(id);
    if (parsed !== undefined) {
      const { batch, index } = parsed;
      const found = await findReported(context, asker, batch);
      if (found !== undefined && index <= found.size) return parsed;
      const mayWait = found === undefined && index === 0;
      if (mayWait && (await findScheduled(context, asker, batch)) !== undefined) return parsed;
    }
    throw new Problem('unknown-batch', `there is no batch ${id}, or it is too old`);
  }

  function pagesOfBatch(batch: string, show: Show) {
    return async (from: number, limit: number) => {
      const found = await database.store.batches.exceptions(batch, { after: from, limit: limit + 1 });
      const { rows, last } = pageOf(found, limit);
      const exceptions = rows.map((row) => show(notificationId(batch, row.index), row));
      return { exceptions, next: last?.index ?? null };
    };
  }

  /** A single send has no batch to itself: its batch is told as one of size 1. */
  function pagesOfOne(batch: string, index: number, show: Show) {
    return async (from: number) => {
      const rows =
        from > 0 ? [] : await database.store.batches.exceptions(batch, { after: index - 1, limit: 1 });
      const exceptions = rows
        .filter((row) => row.index === index)
        .map((row) => show(notificationId(batch, index), { ...row, index: 1 }));
      return { exceptions, next: null };
    };
  }

  function pagesOfBroadcast(broadcast: string, show: Show) {
    return async (from: string, limit: number) => {
      const found = await database.store.broadcasts.exceptions(broadcast, {
        after: placeOf(from),
        limit: limit + 1,
      });
      const { rows, last } = pageOf(found, limit);
      const exceptions = rows.map((row) => ({
        batchId: row.batch,
        ...show(notificationId(row.batch, row.index), row),
      }));
      return { exceptions, next: last === undefined ? null : `${last.chunk}-${last.index}` };
    };
  }
}

/** A file of millions takes a while: it ends where its key does. */
export function whileAllowed<Cursor, Page>(
  { keys }: ProducerContext,
  request: FastifyRequest,
  read: (after: Cursor, limit: number) => Promise<Page>,
) {
  return async (after: Cursor, limit: number) => {
    checkStillGood(keys, request);
    return read(after, limit);
  };
}

export function answers(page: z.ZodType, exception: z.ZodType) {
  return {
    description: 'A page of them, or all as CSV or NDJSON.',
    content: {
      'application/json': { schema: page },
      'application/x-ndjson': { schema: exception },
      'text/csv': { schema: z.string() },
    },
  };
}

function placeOf(cursor: string): ExceptionPlace {
  const [chunk = 0, index = 0] = cursor.split('-').map(Number);
  return { chunk, index };
}

type Show = (id: NotificationId, row: BatchException) => ExceptionAnswer;

/** Without the scope `tokens`, device tokens are shortened to what tells them apart. */
export function answerIn({ grant }: Asker): Show {
  const isWhole = hasScope(grant, 'tokens');
  return (id, row) => answerOf(id, isWhole ? row : { ...row, token: shortened(row.token) });
}

function shortened(token: string): string {
  return `${token.slice(0, 8)}…`;
}

function unknownBroadcast(id: string): Problem {
  return new Problem('unknown-broadcast', `there is no broadcast ${id}`);
}

function answerOf(id: NotificationId, row: BatchException): ExceptionAnswer {
  return {
    index: row.index,
    notificationId: id,
    token: row.token,
    outcome: row.outcome,
    reason: row.reason,
    ...(row.status === null ? {} : { gatewayStatus: row.status }),
    at: row.at.toISOString(),
  };
}
