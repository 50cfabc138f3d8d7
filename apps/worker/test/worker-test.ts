import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { watchCredential } from '@pushfleet/apns-credentials';
import {
  type BatchResult,
  createPushQueue,
  createRedisClient,
  deadLetterKeys,
  defaultLetterRetention,
  type Lane,
  lanes,
  type OutcomeReport,
  type PushQueue,
  totalsKey,
} from '@pushfleet/push-queue';
import { createLogger, type FleetApp } from '@pushfleet/service-kit';
import { type Simulator, startSimulator } from '@pushfleet/testkit';
import type { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { test as base, expect, inject, vi } from 'vitest';
import { openWorker, type Worker, type WorkerOptions } from '../src/worker.ts';

/** Sums of an app over both lanes; the sums balance when `enqueued` is the sum of the others. */
interface Totals {
  readonly enqueued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
}

/** A gateway, a queue under a prefix of its own, and workers in this process. */
export interface Rig {
  readonly simulator: Simulator;
  readonly queue: PushQueue;
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly prefix: string;
  setFaults(rules: readonly object[]): Promise<void>;
  /** A batch of one alert. */
  enqueue(tokens: readonly string[], lane?: Lane, app?: string): Promise<BatchResult>;
  /** Adds a BullMQ job that no producer of ours would. */
  addRaw(lane: Lane, id: string, data: string): Promise<void>;
  /** Push jobs that workers hold. */
  active(app?: string): Promise<number>;
  app(change?: Partial<FleetApp>): FleetApp;
  openWorker(apps?: readonly FleetApp[], change?: Partial<WorkerOptions>): Promise<Worker>;
  totals(app?: string): Promise<Totals>;
  /** Waits until everything enqueued has an outcome. */
  settled(app?: string, timeoutMs?: number): Promise<Totals>;
  reports(app?: string): Promise<OutcomeReport[]>;
  /** Push jobs in any state. */
  jobsLeft(app?: string): Promise<number>;
}

let shared: Promise<Simulator> | undefined;

/** A test with a rig of its own; the files of a package share nothing but Redis. */
export const test = base.extend<{ rig: Rig }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern.
  rig: async ({}, use) => {
    shared ??= startSimulator();
    const simulator = await shared;
    await simulator.control.reset();
    await withRedis(simulator, inject('redisUrl'), `${inject('redisPrefix')}-${randomUUID()}`, use);
  },
});

/** Uses a rig on some Redis, and ends all of it. */
export async function withRedis(
  simulator: Simulator,
  redisUrl: string,
  prefix: string,
  use: (rig: Rig) => Promise<void>,
): Promise<void> {
  const workers: Worker[] = [];
  const rig = createRig(simulator, redisUrl, prefix, workers);
  try {
    await use(rig);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop(5_000)));
    await rig.queue.close();
    rig.redis.disconnect();
  }
}

/** Ends what the tests of a file share; for `afterAll`. */
export async function stopSimulator(): Promise<void> {
  await (await shared)?.stop();
  shared = undefined;
}

function createRig(simulator: Simulator, redisUrl: string, prefix: string, workers: Worker[]): Rig {
  // Of a cluster it takes the same commands.
  const redis = createRedisClient(redisUrl) as Redis;
  // A test may kill it.
  redis.on('error', () => undefined);
  const app: Rig['app'] = (change = {}) => ({
    id: 'shop',
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'binary',
    gateway: { host: 'localhost', port: simulator.binaryPort, ca: join(simulator.tlsDir, 'ca.pem') },
    feedback: undefined,
    credential: { cert: join(simulator.tlsDir, 'client.pem'), key: join(simulator.tlsDir, 'client-key.pem') },
    commandVersion: 2,
    connections: 2,
    leastConnections: 1,
    onUncertain: 'resend',
    confirm: 'presumed',
    confirmAfterMs: 300,
    window: 50_000,
    streams: 2_000,
    attempts: 5,
    retryForMs: 86_400_000,
    shutdownIdentifier: 'last-sent',
    connectsPerMinute: 600,
    breaker: { rate: 1, minimum: 1_000_000, windowMs: 60_000 },
    deadLetters: defaultLetterRetention,
    ...change,
  });
  const queue = createPushQueue({ redis: redisUrl, prefix });
  const totals: Rig['totals'] = async (id = 'shop') => {
    const stored = await redis.hgetall(totalsKey(prefix, id));
    const sum = (...names: string[]) =>
      names
        .flatMap((name) => lanes.map((lane) => Number(stored[`${name}:${lane}`] ?? 0)))
        .reduce((all, one) => all + one, 0);
    return {
      enqueued: sum('enqueued'),
      accepted: sum('accepted-proved', 'accepted-presumed'),
      rejected: sum('rejected'),
      expired: sum('expired'),
      cancelled: sum('cancelled'),
      dead: sum('dead'),
    };
  };
  return {
    simulator,
    queue,
    redis,
    redisUrl,
    prefix,
    app,
    totals,
    setFaults: async (rules) => void (await simulator.control.faults({ rules })),
    enqueue: async (tokens, lane = 'transactional', id = 'shop') =>
      queue.enqueueBatch({
        app: id,
        lane,
        notifications: tokens.map((token) => ({ token })),
        defaults: { alert: `Offer ${randomUUID()}` },
      }),
    addRaw: async (lane, id, data) => {
      await redis.hset(`${prefix}:{shop}:${lane}:${id}`, { name: 'push', data, opts: '{}', timestamp: 1 });
      await redis.lpush(`${prefix}:{shop}:${lane}:wait`, id);
    },
    active: async (id = 'shop') => {
      const counts = await Promise.all(lanes.map((lane) => redis.llen(`${prefix}:{${id}}:${lane}:active`)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    openWorker: async (apps = [app()], change = {}) => {
      const worker = await openWorker({
        apps: await Promise.all(
          apps.map(async (each) => {
            const { cert, key } = each.credential as { cert: string; key: string };
            return { app: each, credential: await watchCredential({ cert, key }) };
          }),
        ),
        redisUrl,
        redisPrefix: prefix,
        register: new Registry(),
        logger: createLogger({ service: 'worker', level: 'silent' }),
        lockDurationMs: 6_000,
        pollIntervalMs: 300,
        beatIntervalMs: 300,
        retryBackoff: { baseMs: 50, capMs: 500 },
        ...change,
      });
      workers.push(worker);
      return worker;
    },
    settled: async (id = 'shop', timeoutMs = 30_000) =>
      vi.waitFor(
        async () => {
          const { enqueued, ...outcomes } = await totals(id);
          const sum = Object.values(outcomes).reduce((all, one) => all + one, 0);
          expect({ sum, ...outcomes }).toMatchObject({ sum: enqueued });
          return { enqueued, ...outcomes };
        },
        { timeout: timeoutMs, interval: 50 },
      ),
    reports: async (id = 'shop') => {
      const entries = await redis.xrange(`${prefix}:{${id}}:outcomes`, '-', '+');
      return entries.map(([, fields]) => JSON.parse(fields[1]!) as OutcomeReport);
    },
    jobsLeft: async (id = 'shop') => {
      const at = (lane: string, list: string) => `${prefix}:{${id}}:${lane}:${list}`;
      const counts = await Promise.all([
        ...lanes.flatMap((lane) => [redis.llen(at(lane, 'wait')), redis.llen(at(lane, 'active'))]),
        ...lanes.map((lane) => redis.zcard(at(lane, 'delayed'))),
      ]);
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

/** A fault: error responses for some notifications. */
export function reject(match: object, options: { status?: number; times?: number } = {}): object {
  const { status = 8, times } = options;
  return {
    on: 'binary',
    match,
    ...(times === undefined ? {} : { times }),
    action: { kind: 'reject', status },
  };
}

/** The dead letters of the app `shop`. */
export async function letters(rig: Rig): Promise<{ id: string; name: string; data: unknown }[]> {
  const { index, base } = deadLetterKeys(rig.prefix, 'shop');
  const ids = await rig.redis.zrevrange(index, 0, -1);
  return Promise.all(
    ids.map(async (id) => {
      const job = await rig.redis.hgetall(base + id);
      return { id, name: job.name!, data: JSON.parse(job.data!) as unknown };
    }),
  );
}
