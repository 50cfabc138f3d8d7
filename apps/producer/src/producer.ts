import { createPushQueue } from '@pushfleet/push-queue';
import {
  createRegister,
  type Logger,
  listenAt,
  openAdminServer,
  type ServiceContext,
} from '@pushfleet/service-kit';
import { AuditTrail } from './audit/audit-trail.ts';
import { KeyRing } from './auth/key-ring.ts';
import { NotificationRates } from './auth/notification-rates.ts';
import type { KeyRequirement } from './auth/require-keys.ts';
import { readBoardKey } from './board/board-key.ts';
import { BroadcastRunner } from './broadcasts/broadcast-runner.ts';
import { DatabaseLink } from './database-link.ts';
import { createProducerMetrics } from './metrics.ts';
import { ScheduledSendRunner } from './notifications/scheduled-send-runner.ts';
import { readProducerEnvironment } from './producer-environment.ts';
import { RedisRoom } from './redis-room.ts';
import { readRunbookPage } from './runbook-page.ts';
import { createServer } from './server.ts';
import { createStatusClient, logRedis, untilRedisAnswers } from './status-client.ts';
import { TracedPushQueue } from './tracing/traced-push-queue.ts';
import { WebhookRunner } from './webhooks/webhook-runner.ts';

/**
 * Opens the producer. Postgres does not have to be there: what needs it is refused until it is. Both may go away later.
 * @throws PushQueueError when Redis cannot be reached
 */
export async function startProducer(service: ServiceContext): Promise<Readonly<Record<string, number>>> {
  const { config, logger, resources, tracer } = service;
  const environment = readProducerEnvironment(process.env, config.listen.host);
  const boardKey = await readBoardKey(process.env);
  if (environment.auth === 'off') warnOfOpenAccess(logger, config.listen.host);
  const apps = new Map(config.apps.map((app) => [app.id, app]));
  const register = createRegister();
  const metrics = createProducerMetrics(register, [...apps.keys()]);

  const database = new DatabaseLink({ connectionString: config.databaseUrl!, logger });
  resources.add('database', () => database.close());
  const redis = createStatusClient(config.redisUrl);
  resources.add('redis', () => redis.disconnect());
  await untilRedisAnswers(redis, service.signal);
  logRedis(redis, logger, service.signal);
  const room = new RedisRoom({ redis });
  resources.add('the room in Redis', () => room.close());
  const statusOptions = { redis, prefix: config.redisPrefix };
  const queueOptions = {
    redis: config.redisUrl,
    prefix: config.redisPrefix,
    apps: Object.fromEntries(apps),
    observer: metrics.observer,
  };
  const openQueue = () =>
    tracer === undefined ? createPushQueue(queueOptions) : new TracedPushQueue(queueOptions, tracer);
  const queue = openQueue();
  resources.add('push queue', () => queue.close());
  // Of its own connections, so that no send waits behind a chunk of a broadcast, or what was scheduled.
  const broadcastQueue = openQueue();
  resources.add('push queue of broadcasts', () => broadcastQueue.close());
  const broadcastRunner = new BroadcastRunner({
    database,
    queue: broadcastQueue,
    redis: statusOptions,
    logger,
    chunkRows: 10_000,
    maxWaitingJobs: 2_000,
    room,
    tracer,
    onDevices: metrics.broadcastDevices,
  });
  resources.add('broadcasts', () => broadcastRunner.close());
  const scheduledSends = new ScheduledSendRunner({
    database,
    queue: broadcastQueue,
    redis: statusOptions,
    logger,
    apps: [...apps.keys()],
    room,
  });
  resources.add('scheduled sends', () => scheduledSends.close());

  const webhookRules = { allowPrivate: environment.allowPrivateWebhooks };
  const webhookRunner = new WebhookRunner({
    database,
    logger,
    rules: webhookRules,
    onResult: metrics.webhookDelivery,
  });
  resources.add('webhooks', () => webhookRunner.close());

  const audit = new AuditTrail({ redis: statusOptions, database, logger, metrics });
  resources.add('audit', () => audit.close());
  let keys: KeyRequirement | undefined;
  if (environment.auth === 'keys') {
    const keyRing = new KeyRing({ database, redis: statusOptions, logger });
    resources.add('keys', () => keyRing.close());
    keys = {
      keyRing,
      ratePerSecond: environment.ratePerSecond,
      notificationRates: new NotificationRates(environment.notificationsPerSecond),
    };
  }

  const server = await createServer({
    logger,
    apps,
    queue,
    redis: statusOptions,
    database,
    audit,
    broadcastRunner,
    scheduledSends,
    webhookRules,
    keys,
    hosts: environment.hosts,
    trustedProxies: environment.trustedProxies,
    metrics,
    tracer,
    stopping: service.signal,
    room,
    drainMs: config.drainTimeoutMs,
  });
  resources.add('server', () => server.close());
  const admin = await openAdminServer({
    ...config.admin,
    register,
    // Postgres is no reason: sends go out without it.
    readiness: () =>
      redis.status !== 'ready'
        ? ['Redis cannot be reached']
        : queue.refusal === undefined
          ? []
          : [`Redis takes no writes: ${queue.refusal}`],
    details: () => ({ database: database.state, databaseTrouble: database.trouble }),
    extend: async (admin) => {
      const runbook = readRunbookPage();
      if (runbook !== undefined) {
        admin.get('/runbook', { config: { mayBeLinked: true } }, (_request, reply) =>
          reply.type('text/html; charset=utf-8').send(runbook),
        );
      }
      if (boardKey === undefined) return;
      // Not loaded where nobody wants it.
      const { addQueueBoard } = await import('./board/queue-board.ts');
      await addQueueBoard(admin, { apps: [...apps.keys()], ...statusOptions, key: boardKey });
    },
  });
  resources.add('admin server', () => admin.close());
  const port = await listenAt(server, config.listen, 'PUSHFLEET_PORT');
  return { port, adminPort: admin.port };
}

function warnOfOpenAccess(logger: Logger, host: string): void {
  logger.warn({ host }, 'PUSHFLEET_AUTH is off: whoever reaches the API may send, and read devices');
}
