import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { locateCredential, type WatchedCredential, watchCredential } from '@pushfleet/apns-credentials';
import { Doorbell, FleetFacts, OutcomeReader } from '@pushfleet/push-queue/outcomes';
import { backoffMs, type FleetApp, pause, type ServiceContext } from '@pushfleet/service-kit';
import { migrate, openTokenStore, type RetentionPolicy, type TokenStore } from '@pushfleet/token-store';
import type { Registry } from 'prom-client';
import type { FeedbackApp } from './feedback/feedback-app.ts';
import { FeedbackSweep } from './feedback/feedback-sweep.ts';
import { ExpiryWatch } from './fleet/expiry-watch.ts';
import { FleetWatch } from './fleet/fleet-watch.ts';
import { ReportApplier } from './reports/report-applier.ts';
import { ReportSweep } from './reports/report-sweep.ts';
import { RetentionSweep } from './retention/retention-sweep.ts';
import { SweeperMetrics } from './sweeper-metrics.ts';
import { Trouble } from './trouble.ts';

/** The parts of a sweeper, opened and not running. */
export interface Sweeper {
  readonly store: TokenStore;
  readonly reports: ReportSweep;
  readonly feedback: FeedbackSweep;
  readonly fleet: FleetWatch;
  readonly expiry: ExpiryWatch;
  readonly retention: RetentionSweep;
  /** Why it does not do its work now; empty: it does. */
  readiness(): string[];
  /** Has what runs end: once what was read is stored, or after `drainTimeoutMs`. Does not wait for it. */
  stop(): void;
  /** Heard when a report waits. */
  readonly doorbell: Doorbell;
}

/** How long a start waits for Redis, and a single run for Postgres, milliseconds: they may be starting too. */
const startPatienceMs = 5_000;

export interface OpenSweeperOptions {
  readonly policy: RetentionPolicy;
  /** How long to wait for Postgres, milliseconds: it may be starting too. */
  readonly patienceMs?: number;
  /** Told why Postgres does not let us go on; undefined: it does. */
  readonly onWaiting?: (reason: string | undefined) => void;
}

/** Opens everything that a sweeper stands on. @throws TokenStoreError, PushQueueError */
export async function openSweeper(
  context: ServiceContext,
  register: Registry,
  options: OpenSweeperOptions,
): Promise<Sweeper> {
  const { config, logger, resources, tracer } = context;
  const ids = config.apps.map(({ id }) => id);
  const stop = new AbortController();
  const giveUp = new AbortController();
  const { signal } = stop;

  await migratePatiently(context, options);
  const troubles: Trouble[] = [];
  const troubleOf = (what: 'Postgres' | 'Redis', part: string): Trouble => {
    const trouble = new Trouble(what, part, logger);
    troubles.push(trouble);
    return trouble;
  };
  const store = openTokenStore({
    connectionString: config.databaseUrl!,
    applicationName: 'pushfleet-sweeper',
    onConnectionError: ({ message }) =>
      logger.debug({ reason: message }, 'an idle connection to Postgres broke'),
  });
  resources.add('the token store', () => store.close());
  const link = { redis: config.redisUrl, prefix: config.redisPrefix };
  const facts = new FleetFacts(link);
  resources.add('the facts of the fleet', () => facts.close());
  await answerPatiently(facts, ids, signal);
  const reader = new OutcomeReader({
    ...link,
    timeoutMs: 5_000,
    consumer: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
  });
  resources.add('the reader of outcome reports', () => reader.close());

  const credentials = await openCredentials(context);
  const metrics = new SweeperMetrics(register, ids);
  const shared = { store, metrics, logger };
  const applier = new ReportApplier({
    ...shared,
    facts,
    signal,
    tracer,
    postgres: troubleOf('Postgres', 'outcome reports'),
  });
  await applier.applySetAside();
  const reports = new ReportSweep({
    apps: ids,
    reader,
    applier,
    redis: troubleOf('Redis', 'outcome reports'),
    signal,
  });
  const feedback = new FeedbackSweep({
    ...shared,
    apps: credentials.flatMap(({ app, credential }) => feedbackAppOf(app, credential) ?? []),
    postgres: troubleOf('Postgres', 'feedback'),
    storing: troubleOf('Postgres', 'storing feedback'),
    stopSignal: signal,
    giveUpSignal: giveUp.signal,
  });
  const doorbell = new Doorbell({
    ...link,
    onRing: (app, what) => {
      if (what === 'outcomes') reports.ring(app);
    },
    onListening: () => {
      for (const app of ids) reports.ring(app);
    },
  });
  resources.add('the doorbell', () => doorbell.close());
  return {
    store,
    reports,
    feedback,
    fleet: new FleetWatch({
      apps: ids,
      quotas: new Map(config.apps.map(({ id, queue }) => [id, queue])),
      facts,
      reader,
      ...shared,
      redis: troubleOf('Redis', 'facts of the fleet'),
      postgres: troubleOf('Postgres', 'facts of the fleet'),
      signal,
    }),
    expiry: new ExpiryWatch({
      apps: credentials.map(({ app, credential }) => ({ id: app.id, credential })),
      store,
      logger,
      postgres: troubleOf('Postgres', 'expiry of certificates'),
      signal,
    }),
    retention: new RetentionSweep({
      ...shared,
      policy: options.policy,
      postgres: troubleOf('Postgres', 'retention'),
      signal,
    }),
    doorbell,
    readiness: () => troubles.flatMap(({ reason }) => reason ?? []),
    stop() {
      stop.abort();
      setTimeout(() => giveUp.abort(), config.drainTimeoutMs).unref();
    },
  };
}

/** Lets everything run until the service is stopped; what runs is part of its resources. */
export function runSweeper(sweeper: Sweeper, { resources, logger }: ServiceContext): void {
  const { reports, feedback, fleet, expiry, retention } = sweeper;
  const running = Promise.all([reports, feedback, fleet, expiry, retention].map((part) => part.run()));
  running.catch((err: unknown) => {
    logger.fatal({ err }, 'the sweeper cannot go on');
    process.exit(1);
  });
  resources.add('the sweeper', async () => {
    sweeper.stop();
    await running;
  });
}

async function migratePatiently(
  { config, logger, signal }: ServiceContext,
  { patienceMs = startPatienceMs, onWaiting }: OpenSweeperOptions,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (let failures = 1; ; failures++) {
    try {
      const run = await migrate(config.databaseUrl!, { log: (line) => logger.debug({ line }, 'migration') });
      if (run.length > 0) logger.info({ migrations: run }, 'the schema is up to date');
      if (failures > 1) logger.info({ failures: failures - 1 }, 'Postgres can be used');
      onWaiting?.(undefined);
      return;
    } catch (error) {
      const isTransient = (error as { isTransient?: boolean }).isTransient === true;
      if (!isTransient || performance.now() > deadlineMs) throw error;
      const reason = (error as Error).message;
      if (failures === 1) logger.warn({ reason }, 'Postgres cannot be used yet; trying again');
      onWaiting?.(reason);
      if (!(await pause(backoffMs(failures, 200, 2_000), signal))) throw error;
    }
  }
}

/** The nodes of a cluster come up one after the other. @throws PushQueueError */
async function answerPatiently(
  facts: FleetFacts,
  apps: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + startPatienceMs;
  for (let failures = 1; ; failures++) {
    try {
      await facts.pauses(apps, startPatienceMs);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      if (!(await pause(backoffMs(failures, 100, 500), signal))) throw error;
    }
  }
}

function openCredentials({ config, resources, logger }: ServiceContext) {
  return Promise.all(
    config.apps.map(async (app) => {
      const credential = await watchCredential(locateCredential(app.credential), {
        use: { topic: app.topic, environment: app.environment },
      });
      resources.add(`the credential of ${app.id}`, () => credential.close());
      if (credential.problem !== undefined) {
        logger.warn(
          { app: app.id, reason: credential.problem.message },
          'the credential cannot be used; its feedback is not read',
        );
      }
      return { app, credential };
    }),
  );
}

function feedbackAppOf(app: FleetApp, credential: WatchedCredential): FeedbackApp | undefined {
  return app.feedback === undefined
    ? undefined
    : { id: app.id, service: app.feedback, credential: credential.tls };
}
