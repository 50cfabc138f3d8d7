import { z } from 'zod';
import type { ProducerContext } from '../context.ts';
import type { ProducerServer } from '../http/typed-server.ts';
import { id } from '../schemas/id-schema.ts';
import { problems } from '../schemas/problem-schemas.ts';
import { batchSchema, notificationSchema } from '../schemas/status-schemas.ts';
import { readBatch } from '../status/batch-status.ts';
import { readNotification } from '../status/notification-status.ts';

const params = z.object({ id });
const unavailable = ['internal', 'redis-unavailable', 'database-unavailable'] as const;

export function addStatusRoutes(server: ProducerServer, context: ProducerContext): void {
  server.get(
    '/v1/batches/:id',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Status'],
        summary: 'What has become of a batch',
        description:
          'Of a single send, whose batch id is its notification id, it tells of that one notification.',
        params,
        response: { 200: batchSchema, ...problems('invalid-request', 'unknown-batch', ...unavailable) },
      },
    },
    async (request) => readBatch(context, request, request.params.id),
  );

  server.get(
    '/v1/notifications/:id',
    {
      config: { scopes: ['read'] },
      schema: {
        tags: ['Status'],
        summary: 'What has become of a notification',
        params,
        response: {
          200: notificationSchema,
          ...problems('invalid-request', 'unknown-notification', ...unavailable),
        },
      },
    },
    async (request) => readNotification(context, request, request.params.id),
  );
}
