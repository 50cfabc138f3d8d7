import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createClient, type PushfleetClient } from '@pushfleet/client';
import {
  createPrivateFolder,
  createTestDatabase,
  findRedisProgram,
  generateTokens,
  openRedisProgram,
  providePostgres,
  provideRedis,
  type ServiceEnvironment,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { expect, onTestFinished, test } from 'vitest';

// docs/operations.md, "Upgrade, back up, restore": what it says, done, with a real Redis and a real Postgres.

const cli = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));
const run = promisify(execFile);

async function pushfleet(environment: ServiceEnvironment, ...args: readonly string[]) {
  const { stdout } = await run(process.execPath, [cli, ...args, '--json'], {
    env: {
      PATH: process.env.PATH,
      REDIS_URL: environment.redisUrl,
      DATABASE_URL: environment.databaseUrl,
      PUSHFLEET_REDIS_PREFIX: environment.redisPrefix,
      PUSHFLEET_CONFIG: environment.configPath,
    },
  }).catch((error: Error & { stdout?: string }) => {
    throw new Error(error.stdout ?? error.message);
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function startFleet(environment: ServiceEnvironment) {
  const services = await Promise.all(
    (['producer', 'worker', 'sweeper'] as const).map((name) => startService(name, environment)),
  );
  onTestFinished(async () => void (await Promise.all(services.map((service) => service.kill()))), 60_000);
  const [producer] = services as [StartedService, StartedService, StartedService];
  const client = createClient({ baseUrl: `http://127.0.0.1:${producer.port}`, timeoutMs: 30_000 });
  return { client, stop: () => Promise.all(services.map((service) => service.stop())) };
}

interface Accounts {
  readonly enqueued: number;
  readonly settled: number;
  readonly queued: number;
  readonly notApplied: number;
}

async function accountsOf(store: TokenStore): Promise<Accounts> {
  const { rows } = await store.database.query<Accounts>(
    `select coalesce(sum(enqueued), 0)::float8 as enqueued, coalesce(sum(still_queued), 0)::float8 as queued,
       coalesce(sum(not_yet_applied), 0)::float8 as "notApplied",
       coalesce(sum(accepted_proved + accepted_presumed + rejected + expired + cancelled + dead), 0)::float8 as settled
     from accounting`,
  );
  return rows[0]!;
}

/** Sends batches one after another until it is stopped; gives what was confirmed. */
function keepSending(client: PushfleetClient) {
  let isStopped = false;
  let confirmed = 0;
  const tokens = generateTokens({ count: 500, seed: 7 });
  const sending = (async () => {
    while (!isStopped) {
      await client.call('POST /v1/notifications', {
        body: {
          app: 'shop',
          lane: 'bulk',
          defaults: { alert: 'Hello' },
          notifications: tokens.map((token) => ({ token })),
        },
      } as never);
      confirmed += tokens.length;
      await delay(5);
    }
  })();
  // What goes wrong is told by `stop`.
  sending.catch(() => undefined);
  return {
    confirmed: () => confirmed,
    async stop() {
      isStopped = true;
      await sending;
      return confirmed;
    },
  };
}

test('a backup of a fleet that sends, restored into empty stores, goes on with sums that are right', async () => {
  const [redis, postgres, simulator, folder, program] = await Promise.all([
    provideRedis({ own: true, aof: true }),
    providePostgres(),
    startSimulator(),
    createPrivateFolder('backup'),
    findRedisProgram(),
  ]);
  const empty = await createTestDatabase(postgres.url);
  onTestFinished(async () => {
    await empty.drop();
    await Promise.all([redis.stop(), postgres.stop(), simulator.stop()]);
    await folder.remove();
  }, 60_000);
  const configPath = await writeFleetFile(folder.path, {
    shop: simulatorApp(simulator, { transport: 'http2' }),
  });
  const before: ServiceEnvironment = {
    ...{ redisUrl: redis.url, redisPrefix: redis.prefix, databaseUrl: postgres.url, configPath },
  };
  const fleet = await startFleet(before);
  const [token] = generateTokens({ count: 1, seed: 8 });
  await expect
    .poll(
      () =>
        fleet.client.registerDevice(token!, { app: 'shop', userId: 'ann' }).then(() => 'registered', String),
      {
        timeout: 60_000,
      },
    )
    .toBe('registered');

  const sending = keepSending(fleet.client);
  await expect.poll(() => sending.confirmed(), { timeout: 60_000 }).toBeGreaterThan(5_000);
  const confirmedBefore = sending.confirmed();
  const backup = join(folder.path, 'backup');
  const made = await pushfleet(before, 'backup', backup);
  const confirmedAfter = sending.confirmed();
  expect(made).toMatchObject({ format: 1, redis: [{ file: 'redis.rdb', bytes: expect.any(Number) }] });
  await sending.stop();
  await fleet.stop();

  // A folder that is there is never written over, and a database with data never filled.
  await expect(pushfleet(before, 'backup', backup)).rejects.toThrow(/is there already/);
  await expect(pushfleet(before, 'restore', backup)).rejects.toThrow(/The database is not empty/);

  // The Redis that is restored takes the snapshot at its start.
  const data = await createPrivateFolder('restored-redis');
  await copyFile(join(backup, 'redis.rdb'), join(data.path, 'dump.rdb'));
  const restoredRedis = await openRedisProgram(program!, { configuration: [`dir "${data.path}"`] });
  onTestFinished(async () => {
    await restoredRedis.stop();
    await data.remove();
  }, 60_000);
  const after: ServiceEnvironment = { ...before, redisUrl: restoredRedis.url, databaseUrl: empty.url };
  await pushfleet(after, 'restore', backup);

  await simulator.control.reset();
  const again = await startFleet(after);
  const store = openTokenStore({ connectionString: empty.url });
  onTestFinished(() => store.close());
  await expect
    .poll(() => accountsOf(store), { timeout: 120_000, interval: 500 })
    .toMatchObject({ queued: 0, notApplied: 0 });
  const { enqueued, settled } = await accountsOf(store);
  expect(settled).toBe(enqueued);
  // Everything that was confirmed when the backup began, and nothing that was not when it had ended.
  expect(enqueued).toBeGreaterThanOrEqual(confirmedBefore);
  expect(enqueued).toBeLessThanOrEqual(confirmedAfter + 500);
  const { rows } = await store.database.query('select * from inconsistent_batches');
  expect(rows).toEqual([]);
  expect(await again.client.device('shop', token!)).toMatchObject({ userId: 'ann', active: true });
  // It goes on: numbers of identity columns do not collide, and sends are counted.
  const { batchId } = await again.client.send({ app: 'shop', token: token!, alert: 'After' });
  await expect
    .poll(async () => (await again.client.batch(batchId)).state, { timeout: 60_000 })
    .toBe('finished');
  await again.stop();
}, 400_000);
