import { randomBytes, randomUUID } from 'node:crypto';
import {
  createBatchId,
  doorbellChannel,
  type OutcomeException,
  type OutcomeReport,
  outcomesKey,
} from '@pushfleet/push-queue';
import {
  createPrivateFolder,
  createTestDatabase,
  type ServiceEnvironment,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { type DeviceToken, migrate, openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { test as base, inject } from 'vitest';

/** One fleet of its own per test: a database, keys in Redis, a simulator, and sweepers as they are wanted. */
export interface Fleet {
  readonly simulator: Simulator;
  readonly store: TokenStore;
  readonly redis: Redis;
  readonly environment: ServiceEnvironment;
  /** Starts a sweeper; it is stopped when the test ends. */
  sweeper(change?: Partial<ServiceEnvironment>): Promise<StartedService>;
  /** Puts a report into its app's stream, as a worker does. */
  report(report: OutcomeReport): Promise<void>;
  sql(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

export const newToken = () => randomBytes(32).toString('hex') as DeviceToken;
export const nowSeconds = () => Math.floor(Date.now() / 1000);

export function reportOf(app: string, change: Partial<OutcomeReport> = {}): OutcomeReport {
  const batch = change.batch ?? createBatchId();
  const count = change.count ?? 10;
  const exceptions = change.exceptions ?? [];
  return {
    v: 1,
    job: `${batch}-${change.firstIndex ?? 1}`,
    app,
    lane: 'bulk',
    batch,
    batchSize: count,
    firstIndex: 1,
    count,
    enqueuedAtMs: Date.now(),
    settledAtMs: Date.now(),
    accepted: { proved: 0, presumed: count - exceptions.length },
    exceptions,
    resentUncertain: 0,
    ...change,
  };
}

export const invalidToken = (index: number, token: string): OutcomeException => ({
  index,
  token,
  outcome: 'rejected',
  reason: 'invalid-token',
  status: 8,
  tokenInvalid: true,
  atMs: Date.now(),
});

/** The value of one line of Prometheus' format; undefined: there is none. */
export async function metric(service: StartedService, line: string): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${service.adminPort}/metrics`)).text();
  const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
}

interface Fixtures {
  readonly fleet: Fleet;
  readonly apps: Readonly<Record<string, object>>;
  readonly sharedSimulator: Simulator;
}

export const test = base.extend<Fixtures>({
  /** Starting one costs a second of key generation. */
  sharedSimulator: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
    async ({}, use) => {
      const simulator = await startSimulator();
      await use(simulator);
      await simulator.stop();
    },
    { scope: 'file' },
  ],
  /** More fields of the apps in pushfleet.yaml. */
  apps: { shop: {} },
  fleet: async ({ apps, sharedSimulator: simulator }, use) => {
    await simulator.control.reset();
    const database = await createTestDatabase(inject('databaseUrl'));
    const services = {
      simulator,
      databaseUrl: database.url,
      redisUrl: inject('redisUrl'),
      redisPrefix: `${inject('redisPrefix')}-${randomUUID()}`,
    };
    const { fleet, close } = await openFleet(services, apps);
    await use(fleet);
    await close();
    await database.drop();
  },
});

interface FleetServices {
  readonly simulator: Simulator;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly redisPrefix: string;
}

/** A fleet on these services; `close` kills its sweepers. */
export async function openFleet(services: FleetServices, apps: Fixtures['apps'] = { shop: {} }) {
  const { simulator, databaseUrl, redisUrl, redisPrefix } = services;
  const folder = await createPrivateFolder('sweeper-test');
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  await migrate(databaseUrl);
  const store = openTokenStore({ connectionString: databaseUrl });
  const file = Object.fromEntries(
    Object.entries(apps).map(([id, more]) => [id, simulatorApp(simulator, { ...more })]),
  );
  const environment: ServiceEnvironment = {
    redisUrl,
    redisPrefix,
    databaseUrl,
    configPath: await writeFleetFile(folder.path, file),
    env: { PUSHFLEET_LOG_LEVEL: 'debug' },
  };
  const started: StartedService[] = [];
  const fleet: Fleet = {
    simulator,
    store,
    redis,
    environment,
    async sweeper(change = {}) {
      const service = await startService('sweeper', { ...environment, ...change });
      started.push(service);
      return service;
    },
    async report(report) {
      await redis.xadd(outcomesKey(redisPrefix, report.app), '*', 'report', JSON.stringify(report));
      await redis.publish(doorbellChannel(redisPrefix), `${report.app}/outcomes`);
    },
    async sql(text, values) {
      return (await store.database.query(text, values)).rows;
    },
  };
  const close = async () => {
    await Promise.all(started.map((service) => service.kill()));
    redis.disconnect();
    await store.close();
    await folder.remove();
  };
  return { fleet, close };
}
