import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  type AppQuota,
  createPushQueue,
  type Lane,
  lanes,
  type PushJobData,
  pushJobDataSchema,
} from '@pushfleet/push-queue';
import { createLogger, type FleetApp, type Logger } from '@pushfleet/service-kit';
import { createTestDatabase } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { inject } from 'vitest';
import { AuditTrail } from '../src/audit/audit-trail.ts';
import { KeyRing } from '../src/auth/key-ring.ts';
import { NotificationRates } from '../src/auth/notification-rates.ts';
import { BroadcastRunner } from '../src/broadcasts/broadcast-runner.ts';
import { DatabaseLink } from '../src/database-link.ts';
import type { ProducerServer } from '../src/http/typed-server.ts';
import { createProducerMetrics } from '../src/metrics.ts';
import { ScheduledSendRunner } from '../src/notifications/scheduled-send-runner.ts';
import { createServer } from '../src/server.ts';
import type { DestinationRules } from '../src/webhooks/destination.ts';
import { AnswerChecker, type OpenApiDocument } from './answer-checker.ts';

interface ProbeRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

interface ProbeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what it is like is what the tests find out.
  readonly body: any;
}

/** A producer's API in this process, on a real Redis and a Postgres database of its own. */
export interface ProducerProbe {
  readonly server: ProducerServer;
  /** Asks the API, and holds the answer against the OpenAPI document. */
  call(method: Method, url: string, request?: ProbeRequest): Promise<ProbeAnswer>;
  readonly redis: Redis;
  readonly prefix: string;
  readonly database: DatabaseLink;
  readonly register: Registry;
  readonly logger: Logger;
  /** Everything that was logged. */
  readonly log: string[];
  /** Push jobs that wait or are scheduled. */
  jobs(app: string, lane?: Lane): Promise<PushJobData[]>;
  /** How many notifications are in the queues of an app. */
  enqueued(app: string): Promise<number>;
  close(): Promise<void>;
}

export interface ProbeOptions {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly prefix?: string;
  readonly writeTimeoutMs?: number;
  readonly webhookRules?: DestinationRules;
  readonly hosts?: readonly string[];
  readonly trustedProxies?: readonly string[];
  readonly room?: { check(): void };
  readonly drainMs?: number;
  readonly maxBodyBytes?: number;
  readonly bodyTimeoutMs?: number;
  /** Of every app. */
  readonly quota?: AppQuota;
  /** Requests need keys. */
  readonly keys?: { readonly ratePerSecond: number; readonly notificationsPerSecond?: number };
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

const appIds = ['shop', 'news'];

export async function openProducer(options: ProbeOptions = {}): Promise<ProducerProbe> {
  const redisUrl = options.redisUrl ?? inject('redisUrl');
  const prefix = options.prefix ?? `${inject('redisPrefix')}-${randomUUID()}`;
  const log: string[] = [];
  const logger = createLogger({
    service: 'producer',
    level: 'debug',
    destination: { write: (line: string) => void log.push(line) },
  });
  const testDatabase =
    options.databaseUrl === undefined ? await createTestDatabase(inject('databaseUrl')) : undefined;
  const database = new DatabaseLink({
    connectionString: options.databaseUrl ?? testDatabase!.url,
    logger,
  });
  if (testDatabase !== undefined) await database.migrated;
  const apps = new Map(appIds.map((id) => [id, { ...fleetApp(id), queue: options.quota }]));
  const register = new Registry();
  const metrics = createProducerMetrics(register, appIds);
  const redis = new Redis(redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2_000,
  });
  redis.on('error', () => undefined);
  if (options.redisUrl === undefined) await once(redis, 'ready');
  const queue = createPushQueue({
    redis: redisUrl,
    prefix,
    apps: Object.fromEntries(apps),
    observer: metrics.observer,
    writeTimeoutMs: options.writeTimeoutMs ?? 5_000,
  });
  const stopping = new AbortController();
  const broadcastRunner = new BroadcastRunner({
    database,
    queue,
    redis: { redis, prefix },
    logger,
    chunkRows: 1_000,
    maxWaitingJobs: 1_000,
    onDevices: metrics.broadcastDevices,
    pollMs: 50,
    leaseMs: 2_000,
  });
  const scheduledSends = new ScheduledSendRunner({
    database,
    queue,
    redis: { redis, prefix },
    logger,
    apps: appIds,
    pollMs: 50,
    leaseMs: 2_000,
  });
  const statusOptions = { redis, prefix };
  const keyRing =
    options.keys === undefined
      ? undefined
      : new KeyRing({ database, redis: statusOptions, logger, refreshMs: 100 });
  const { ratePerSecond = 0, notificationsPerSecond = 0 } = options.keys ?? {};
  const notificationRates = new NotificationRates(notificationsPerSecond);
  const keys = keyRing === undefined ? undefined : { keyRing, ratePerSecond, notificationRates };
  await keyRing?.refresh();
  const audit = new AuditTrail({ redis: statusOptions, database, logger, metrics, pollMs: 100 });
  const server = await createServer({
    logger,
    apps,
    queue,
    redis: { redis, prefix },
    database,
    audit,
    broadcastRunner,
    scheduledSends,
    webhookRules: options.webhookRules ?? { allowPrivate: false },
    keys,
    hosts: options.hosts,
    trustedProxies: options.trustedProxies,
    metrics,
    stopping: stopping.signal,
    room: options.room,
    maxBodyBytes: options.maxBodyBytes,
    bodyTimeoutMs: options.bodyTimeoutMs,
    drainMs: options.drainMs ?? 5_000,
  });
  const reader = new Redis(inject('redisUrl'));
  const jobs: ProducerProbe['jobs'] = async (app, lane = 'transactional') => {
    const key = `${prefix}:{${app}}:${lane}`;
    const waiting = await reader.lrange(`${key}:wait`, 0, -1);
    const delayed = await reader.zrange(`${key}:delayed`, '0', '-1');
    const ids = [...waiting.toReversed(), ...delayed];
    const datas = await Promise.all(ids.map((id) => reader.hget(`${key}:${id}`, 'data')));
    return datas.flatMap((data) => (data === null ? [] : [pushJobDataSchema.parse(JSON.parse(data))]));
  };
  const checker = new AnswerChecker(server.swagger() as unknown as OpenApiDocument);
  const call: ProducerProbe['call'] = async (method, url, { headers = {}, body } = {}) => {
    const isJson = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
    const answer = await server.inject({
      method,
      url,
      headers: { ...(isJson ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body === undefined ? {} : { payload: isJson ? JSON.stringify(body) : (body as string) }),
    });
    const contentType = answer.headers['content-type'] as string | undefined;
    const { statusCode: status, headers: given, body: text } = answer;
    checker.check({ method, url, status, contentType, text });
    const parsed: unknown = /\bjson|\+json/.test(contentType ?? '') ? JSON.parse(text) : undefined;
    return { status, headers: given, text, body: parsed };
  };
  return {
    server,
    call,
    redis: reader,
    prefix,
    database,
    register,
    logger,
    log,
    jobs,
    async enqueued(app) {
      const all = await Promise.all(lanes.map((lane) => jobs(app, lane)));
      return all.flat().reduce((sum, job) => sum + job.count, 0);
    },
    async close() {
      stopping.abort();
      await server.close();
      await audit.close();
      await keyRing?.close();
      await broadcastRunner.close();
      await scheduledSends.close();
      await queue.close();
      redis.disconnect();
      reader.disconnect();
      await database.close();
      await testDatabase?.drop();
    },
  };
}

function fleetApp(id: string): FleetApp {
  const app = { id, topic: `com.example.${id}`, environment: 'sandbox', transport: 'http2' };
  return app as unknown as FleetApp;
}
