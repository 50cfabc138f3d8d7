import { Readable } from 'node:stream';
import { notificationId, parseNotificationId } from '@pushfleet/push-queue';
import type { BatchException } from '@pushfleet/token-store';
import { z } from 'zod';
import { authorizeApp } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import { id } from '../schemas/id-schema.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { type ExceptionAnswer, exceptionPageSchema, exceptionSchema } from '../schemas/status-schemas.ts';
import type { ProducerServer } from '../server.ts';

const params = z.object({ id });
const querystring = z.strictObject({
  after: z.coerce.number().int().min(0).default(0).meta({ description: '`next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(5_000).default(1_000),
  format: z.enum(['json', 'csv', 'ndjson']).optional().meta({
    description:
      'Of `csv` and `ndjson` all are sent, from `after` on. By default as the header `accept` says.',
  }),
});

/** Rows that are read at once for CSV and NDJSON. */
const pageSize = 2_000;

export function addExceptionRoutes(server: ProducerServer, context: ProducerContext): void {
  server.get(
    '/v1/batches/:id/exceptions',
    {
      schema: {
        tags: ['Status'],
        summary: 'The notifications of a batch that were not simply accepted',
        description: 'In order, as far as outcome reports have been written to the database.',
        params,
        querystring,
        response: {
          200: {
            description: 'A page of them, or all as CSV or NDJSON.',
            content: {
              'application/json': { schema: exceptionPageSchema },
              'application/x-ndjson': { schema: exceptionSchema },
              'text/csv': { schema: z.string() },
            },
          },
          ...problems('invalid-request', 'unknown-batch', 'internal', 'database-unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { after, limit } = request.query;
      const { batches } = context.database.store;
      const batch = parseNotificationId(id)?.index === 0 ? await batches.find(id) : undefined;
      if (batch === undefined) {
        throw new Problem('unknown-batch', `there is no batch ${id} of which an outcome is known`);
      }
      authorizeApp(request, batch.app);
      const format = request.query.format ?? acceptedFormat(request.headers.accept);
      if (format === 'json') {
        const rows = await batches.exceptions(id, { after, limit: limit + 1 });
        const page = rows.slice(0, limit).map((row) => answerOf(id, row));
        return { exceptions: page, next: rows.length > limit ? page.at(-1)!.index : null };
      }
      const rows = (from: number) => batches.exceptions(id, { after: from, limit: pageSize });
      // The first page before the head of the answer, so that a database that is away is a problem and not half a file.
      const lines = format === 'csv' ? toCsv : toNdjson;
      const first = await rows(after);
      void reply.type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson');
      if (format === 'csv') void reply.header('content-disposition', `attachment; filename="${id}.csv"`);
      return reply
        .serializer((value: unknown) => value as string)
        .send(Readable.from(lines(allPages(first, rows), id)) as never);
    },
  );
}

async function* allPages(
  first: BatchException[],
  rows: (after: number) => Promise<BatchException[]>,
): AsyncGenerator<BatchException[]> {
  let page = first;
  while (page.length > 0) {
    yield page;
    if (page.length < pageSize) return;
    page = await rows(page.at(-1)!.index);
  }
}

async function* toNdjson(pages: AsyncGenerator<BatchException[]>, batch: string): AsyncGenerator<string> {
  for await (const page of pages) {
    yield page.map((row) => `${JSON.stringify(answerOf(batch, row))}\n`).join('');
  }
}

const columns = [
  'index',
  'notificationId',
  'token',
  'outcome',
  'reason',
  'gatewayStatus',
  'at',
] as const satisfies readonly (keyof ExceptionAnswer)[];

async function* toCsv(pages: AsyncGenerator<BatchException[]>, batch: string): AsyncGenerator<string> {
  yield `${columns.join(',')}\r\n`;
  for await (const page of pages) {
    yield page
      .map((row) => {
        const answer = answerOf(batch, row);
        return `${columns.map((name) => csvField(answer[name])).join(',')}\r\n`;
      })
      .join('');
  }
}

/** RFC 4180. No value can begin a formula: reasons are the gateway's words or ours. */
function csvField(value: string | number | undefined): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function answerOf(batch: string, row: BatchException): ExceptionAnswer {
  return {
    index: row.index,
    notificationId: notificationId(batch, row.index),
    token: row.token,
    outcome: row.outcome,
    reason: row.reason,
    ...(row.status === null ? {} : { gatewayStatus: row.status }),
    at: row.at.toISOString(),
  };
}

function acceptedFormat(accept: string | undefined): 'json' | 'csv' | 'ndjson' {
  if (accept?.includes('text/csv')) return 'csv';
  return accept?.includes('application/x-ndjson') ? 'ndjson' : 'json';
}
