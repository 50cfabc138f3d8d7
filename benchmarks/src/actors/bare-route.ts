import type { AddressInfo } from 'node:net';
import { parseDeviceToken } from '@pushfleet/apns-wire/device-token';
import { createBatchId, createPushQueue, notificationId } from '@pushfleet/push-queue';
import Fastify from 'fastify';
import { readParameters } from '../run-actor.ts';

// A bare route: the same body is parsed, checked and encoded as the producer does it, and answered in the same form;
// nothing is stored.

const { redisUrl, app } = readParameters<{ redisUrl: string; app: string }>();
const queue = createPushQueue({ redis: redisUrl });
const server = Fastify();
server.post('/v1/notifications', async (request, reply) => {
  const { token, app: to, ...delivery } = request.body as { token: string; app: string };
  if (to !== app) throw new Error('there is no such app');
  parseDeviceToken(token);
  queue.checkDelivery({ app: to }, delivery);
  void reply.code(202);
  const id = notificationId(createBatchId(), 1);
  return { batchId: id, notificationIds: [id] };
});
await server.listen({ host: '127.0.0.1', port: 0 });
const { port } = server.server.address() as AddressInfo;
process.stdout.write(`${JSON.stringify({ ready: true, port })}\n`);
