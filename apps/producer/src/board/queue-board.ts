import { createHash, timingSafeEqual } from 'node:crypto';
import { createBullBoard } from '@bull-board/api';
import type { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { appPrefix, deadLetterQueue, lanes } from '@pushfleet/push-queue';
import { Queue } from 'bullmq';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Cluster, Redis } from 'ioredis';
import { RedactedAdapter } from './redacted-adapter.ts';

export interface QueueBoardOptions {
  readonly apps: readonly string[];
  /** Shared by all queues. */
  readonly redis: Redis | Cluster;
  readonly prefix: string;
  /** The password; the name does not matter. */
  readonly key: string;
}

const basePath = '/board';

/**
 * Serves Bull Board at `/board`: the push queues and dead letters of all apps, to look at. Nothing can be changed there:
 * a push job that is removed or tried again by hand would be missing from the sums. What operators do about jobs,
 * `pushfleet` does.
 */
export async function addQueueBoard(server: FastifyInstance, options: QueueBoardOptions): Promise<void> {
  const queues = options.apps.flatMap((app) =>
    [...lanes, deadLetterQueue].map((name) => openQueue(app, name, options)),
  );
  const adapter = new FastifyAdapter();
  adapter.setBasePath(basePath);
  createBullBoard({
    queues: queues.map(adapterOf),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Pushfleet' } },
  });
  await server.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => requireKey(request, reply, options.key));
    await scope.register(adapter.registerPlugin(), { prefix: basePath });
  });
  server.addHook('onClose', async () => {
    await Promise.all(queues.map(({ queue }) => queue.close()));
  });
}

function openQueue(app: string, name: string, { redis, prefix }: QueueBoardOptions) {
  const queue = new Queue(name, {
    prefix: appPrefix(prefix, app),
    connection: redis as Redis,
    // To look at needs no record of the version, and must write nothing.
    skipVersionCheck: true,
    skipMetasUpdate: true,
  });
  queue.on('error', () => undefined);
  return { app, queue };
}

/** Names are told apart by the app, since each has queues of the same names. */
function adapterOf({ app, queue }: ReturnType<typeof openQueue>): BullMQAdapter {
  return new RedactedAdapter(queue, { readOnlyMode: true, prefix: `${app}/` });
}

/** HTTP Basic, which browsers ask people for. */
async function requireKey(request: FastifyRequest, reply: FastifyReply, key: string): Promise<void> {
  const [, encoded = ''] = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const login = Buffer.from(encoded, 'base64').toString('utf8');
  if (timingSafeEqual(digest(login.slice(login.indexOf(':') + 1)), digest(key))) return;
  await reply.code(401).header('www-authenticate', 'Basic realm="Pushfleet", charset="UTF-8"').send();
}

/** Of one length, whatever was typed. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
