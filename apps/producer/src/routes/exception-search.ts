import { notificationId, parseNotificationId } from '@pushfleet/push-queue';
import { pageOf } from '@pushfleet/token-store';
import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import { invalidRequest } from '../http/problem.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { id } from '../schemas/id-schema.ts';
import { appId, deviceToken, userId } from '../schemas/notification-schemas.ts';
import { afterOf } from '../schemas/page-schemas.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { broadcastExceptionSchema, foundExceptionPageSchema } from '../schemas/status-schemas.ts';
import { answerExceptions } from '../status/exception-pages.ts';
import { checkApp } from './check-app.ts';
import { answerIn, answers, exceptionColumns, listFields, whileAllowed } from './exceptions.ts';

const querystring = z.strictObject({
  app: appId,
  token: deviceToken.optional().meta({ description: 'A device. Either this or `userId`.' }),
  userId: userId.optional().meta({ description: 'All devices that are known of a user, inactive ones too.' }),
  after: afterOf(id),
  ...listFields,
});

export function addExceptionSearchRoute(server: ProducerServer, context: ProducerContext): void {
  server.get(
    '/v1/exceptions',
    {
      config: { scopes: ['exceptions'] },
      schema: {
        tags: ['Status'],
        summary: 'What was not simply accepted of all that was sent to a device or a user',
        description:
          'The newest first, as far as outcome reports have been written to the database. What was accepted is counted by ' +
          'batch, and not kept by device.',
        querystring,
        response: {
          200: answers(foundExceptionPageSchema, broadcastExceptionSchema),
          ...problems('invalid-request', 'unknown-app', 'internal', 'database-unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { app, token, userId, after } = request.query;
      checkApp(context, request, app);
      const owner = ownerOf(token, userId);
      const show = answerIn(request);
      const read = async (from: string | undefined, limit: number) => {
        const found = await context.database.store.batches.exceptionsOf(app, owner, {
          after: from === undefined ? undefined : parseNotificationId(from),
          limit: limit + 1,
        });
        const { rows, last } = pageOf(found, limit);
        const exceptions = rows.map((row) => ({
          batchId: row.batch,
          ...show(notificationId(row.batch, row.index), row),
        }));
        return { exceptions, next: last === undefined ? null : notificationId(last.batch, last.index) };
      };
      const list = {
        name: `exceptions-${app}`,
        columns: ['batchId', ...exceptionColumns] as const,
        read: whileAllowed(context, request, read),
      };
      return answerExceptions(request, reply, list, { ...request.query, after });
    },
  );
}

/** @throws Problem `invalid-request` */
function ownerOf(token: string | undefined, userId: string | undefined) {
  if (token !== undefined && userId === undefined) return { token };
  if (userId !== undefined && token === undefined) return { userId };
  throw invalidRequest('token', 'must be given, or userId, and not both');
}
