import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Tracer } from '@opentelemetry/api';
import { ConnectionAllowance } from '@pushfleet/apns-client';
import { createRedisTokenStore, type WatchedCredential } from '@pushfleet/apns-credentials';
import { createPushQueue } from '@pushfleet/push-queue';
import { Doorbell, LockKeeper, QueueWatch } from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { Registry } from 'prom-client';
import { AppSender } from './app/app-sender.ts';
import { Canaries } from './canary/canary.ts';
import { FleetMember } from './fleet-member.ts';
import { type CreateTransport, Transports } from './gateway/create-transport.ts';
import { defaultRetryBackoffs, type RetryBackoff } from './job/retry-delay.ts';
import { MemoryBudget } from './memory-budget.ts';
import { AppMetrics } from './metrics/app-metrics.ts';
import { setExpiry } from './metrics/credential-expiry.ts';
import { createWorkerMetrics } from './metrics/worker-metrics.ts';
import { JobSpans } from './tracing/job-span.ts';
import { WorkerRedis } from './worker-redis.ts';

// The worker, put together: two connections to Redis, what all apps share (locks, memory, provider tokens, metrics, the
// fleet), a sender for each app, and what wakes them: the doorbell, the watch of all queues, and two timers.

export interface WorkerOptions {
  readonly apps: readonly { readonly app: FleetApp; readonly credential: WatchedCredential }[];
  readonly redisUrl: string;
  readonly redisPrefix: string;
  readonly register: Registry;
  readonly logger: Logger;
  /** Undefined: traces are off. */
  readonly tracer?: Tracer | undefined;
  /** In place of the transports to real gateways. */
  readonly createTransport?: CreateTransport;
  /** How long a lock lives without renewal, milliseconds; a crash delays its job by up to twice that. Default 15,000. */
  readonly lockDurationMs?: number;
  /** How often every app is looked at, whether or not its doorbell rang, milliseconds. Default 2,000. */
  readonly pollIntervalMs?: number;
  /** How often the progress of a job is written while its notifications settle, milliseconds. Default 250. */
  readonly checkpointIntervalMs?: number;
  /** How often dead letters beyond their bounds are deleted, besides when one is added, milliseconds. Default 60,000. */
  readonly letterTrimIntervalMs?: number;
  /** Replaces the backoffs of all kinds of faults. */
  readonly retryBackoff?: RetryBackoff;
  /** How often the fleet hears that this worker is alive, milliseconds. Default 3,000. */
  readonly beatIntervalMs?: number;
  /** About how much memory the push jobs held may take, bytes. Default 512 MiB, of which one app may have a quarter. */
  readonly budgetBytes?: number;
  /** Connections to gateways at most, of all apps together and beyond the first of each app and lane. Default 512. */
  readonly connections?: number;
}

/** How long the start waits for Redis, milliseconds. */
const startTimeoutMs = 3_000;
/** How long the start waits for the doorbell, milliseconds. */
const doorbellTimeoutMs = 2_000;
/** How often senders are ticked, and jobs looked over for checkpoints that are due, milliseconds. */
const checkpointTickMs = 100;

/** How long the start waits until the fleet knows of this worker, milliseconds. */
const joinTimeoutMs = 2_000;
/** How long a stop waits until the fleet knows of it, milliseconds. */
const leaveTimeoutMs = 1_000;
/** Beyond the drain's own deadline, for what is to be written to Redis afterwards, milliseconds. */
const stopGraceMs = 5_000;

export interface Worker {
  /** Why it does no work now; empty when it does. */
  readiness(): readonly string[];
  /** The apps that have work, are paused or cannot be sent for, and how they are. */
  details(): Readonly<Record<string, unknown>>;
  stop(drainTimeoutMs: number): Promise<void>;
}

/** Opens a worker: it takes push jobs from now on. @throws PushQueueError when Redis cannot be reached */
export async function openWorker(options: WorkerOptions): Promise<Worker> {
  const { register, logger, retryBackoff, createTransport } = options;
  const lockDurationMs = options.lockDurationMs ?? 15_000;
  const budgetBytes = options.budgetBytes ?? 512 * 1024 * 1024;
  const redis = await WorkerRedis.open({ ...options, lockDurationMs }, startTimeoutMs);
  const { links } = redis;
  const link = links.transactional;
  const onRedisError = (err: unknown) => logger.debug({ err }, 'Redis did not answer');
  const senders: AppSender[] = [];
  const locks = new LockKeeper({
    links: redis.all,
    onStoodStill: (stoodStillMs) => {
      logger.warn(
        { stoodStillMs },
        'this process was suspended for longer than its leases last: its connections are closed',
      );
      for (const sender of senders) sender.cut();
    },
    onError: onRedisError,
  });
  const allowance = new ConnectionAllowance(options.connections ?? 512);
  const budget = new MemoryBudget({ totalBytes: budgetBytes, appBytes: budgetBytes / 4 });
  const transports = new Transports({
    tokenStore: createRedisTokenStore(link.client, options.redisPrefix),
    logger,
  });
  const collect = () => {
    for (const sender of senders) sender.collectMetrics();
    for (const [app, ageMs] of transports.tokenAgesMs())
      families.providerTokenAge.set({ app }, ageMs / 1_000);
    for (const { app, credential } of options.apps) setExpiry(families.credentialExpiry, app.id, credential);
  };
  const families = createWorkerMetrics(register, collect);
  const workerId = randomUUID();
  const canaryQueue = options.apps.some(({ app }) => app.canary !== undefined)
    ? createPushQueue({
        redis: options.redisUrl,
        prefix: options.redisPrefix,
        apps: Object.fromEntries(options.apps.map(({ app }) => [app.id, app])),
      })
    : undefined;
  const canaries = canaryQueue && new Canaries(canaryQueue, register);
  const member = new FleetMember({
    link,
    worker: { id: workerId, host: hostname(), pid: process.pid, version, sinceMs: Date.now() },
    beatIntervalMs: options.beatIntervalMs,
    logger,
  });
  for (const { app, credential } of options.apps) {
    senders.push(
      new AppSender({
        app,
        credential,
        transports: createTransport === undefined ? transports : { create: createTransport },
        allowance,
        links,
        workerId,
        locks,
        budget,
        metrics: new AppMetrics(families, app),
        backoffs: retryBackoff === undefined ? defaultRetryBackoffs : sameForAll(retryBackoff),
        checkpointIntervalMs: options.checkpointIntervalMs ?? 250,
        canaries,
        fleet: member,
        spans: new JobSpans(options.tracer, app),
        logger: logger.child({ app: app.id }),
      }),
    );
  }
  const byId = new Map(senders.map((sender) => [sender.id, sender]));
  const watch = new QueueWatch({
    link,
    apps: senders,
    pollIntervalMs: options.pollIntervalMs ?? 2_000,
    onError: onRedisError,
  });
  const look = (sender: AppSender) => {
    watch.look(sender).catch(onRedisError);
  };
  const listening = Promise.withResolvers<void>();
  const doorbell = new Doorbell({
    redis: options.redisUrl,
    prefix: options.redisPrefix,
    onRing: (id, what) => {
      const sender = byId.get(id);
      if (sender === undefined) return;
      if (what === 'resume') {
        sender.probeNow();
        member.beatOften();
        return;
      }
      sender.ring(what);
      if (sender.isLookDue(what)) look(sender);
    },
    // What rang before is found by the watch.
    onListening: listening.resolve,
  });
  const checkpoints = setInterval(() => {
    const nowMs = performance.now();
    const epochMs = Date.now();
    for (const sender of senders) {
      sender.checkpoint(nowMs);
      sender.tick(nowMs, epochMs);
    }
    redis.logReach();
  }, checkpointTickMs);
  const trimLetters = () => {
    for (const sender of senders) sender.trimLetters().catch(onRedisError);
  };
  trimLetters();
  const trims = setInterval(trimLetters, options.letterTrimIntervalMs ?? 60_000);
  // Before it takes anything: a fleet that pauses asks all of its workers.
  await endsWithin(member.join(senders), joinTimeoutMs);
  watch.start();
  // A worker that is ready hears the doorbell. Without it the watch finds what rang, only later.
  await endsWithin(listening.promise, doorbellTimeoutMs);

  return {
    readiness: () => (redis.isReady ? [...redis.problems, ...unableForAll(senders)] : redis.problems),
    details: () => ({ worker: workerId, apps: describeApps(senders) }),
    async stop(drainTimeoutMs) {
      doorbell.close();
      // The fleet does not wait for a worker that stops.
      await endsWithin(member.close(), leaveTimeoutMs);
      const stopped = Promise.all([
        watch.close(),
        ...senders.map(async (sender) => sender.stop(drainTimeoutMs)),
      ]);
      if (!(await endsWithin(stopped, drainTimeoutMs + stopGraceMs))) {
        const jobsHeld = senders.reduce((sum, sender) => sum + sender.held, 0);
        logger.warn(
          { jobsHeld },
          'push jobs could not be given back: they are taken again when their locks run out',
        );
      }
      transports.close();
      clearInterval(checkpoints);
      clearInterval(trims);
      locks.close();
      await Promise.all([redis.close(), canaryQueue?.close()]);
    },
  };
}

function sameForAll(backoff: RetryBackoff): typeof defaultRetryBackoffs {
  return { notification: backoff, gateway: backoff, uncertain: backoff };
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

/** The apps that have work, are paused or cannot be sent for, and how they are. */
function describeApps(senders: readonly AppSender[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    senders.flatMap(({ id, states, figures, pauses, trouble, slowed }) => {
      const isCalm = states.length === 0 && Object.keys(pauses).length === 0 && trouble === undefined;
      return isCalm
        ? []
        : [[id, { transports: states, connections: figures, paused: pauses, trouble, slowed }] as const];
    }),
  );
}

/** Why this worker can send for none of its apps although the fleet is not paused; empty: it can for some. */
function unableForAll(senders: readonly AppSender[]): string[] {
  const reasons = senders.flatMap(({ id, trouble, pauses }) =>
    trouble === undefined || Object.keys(pauses).length > 0
      ? []
      : [`${id} cannot be sent for: ${trouble.reason}`],
  );
  return reasons.length < senders.length ? [] : reasons;
}

/** Whether a promise settles in time. */
async function endsWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  const inTime = await Promise.race([promise.then(() => true), late.promise]);
  clearTimeout(timer);
  return inTime;
}
