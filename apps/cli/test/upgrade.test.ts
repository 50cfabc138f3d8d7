import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beatWorker, createPushQueue, type FleetWorker, removeWorker } from '@pushfleet/push-queue';
import { readBuildInfo } from '@pushfleet/service-kit';
import { createPrivateFolder, createTestDatabase, type TestDatabase } from '@pushfleet/testkit';
import { migrate, openTokenStore, readMigrationState } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { runCli } from './run-cli.ts';

const prefix = `${inject('redisPrefix')}-upgrade`;
const { version } = readBuildInfo();
/** A version before keys had expiries and scheduled sends were counted. */
const olderCount = 14;

let database: TestDatabase;
let folder: Awaited<ReturnType<typeof createPrivateFolder>>;
let redis: Redis;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
  folder = await createPrivateFolder('upgrade');
  redis = new Redis(inject('redisUrl'));
  env = {
    REDIS_URL: inject('redisUrl'),
    PUSHFLEET_REDIS_PREFIX: prefix,
    DATABASE_URL: database.url,
    PUSHFLEET_URL: 'http://127.0.0.1:1',
  };
});
afterEach(async () => {
  redis.disconnect();
  await folder.remove();
  await database.drop();
});

/** A database that an older version has filled, and a worker of that version. */
async function startOlder(workerVersion = '0.0.9'): Promise<FleetWorker> {
  await migrate(database.url, { count: olderCount });
  const store = openTokenStore({ connectionString: database.url });
  await store.database.query(
    `insert into devices (app, token, user_id, registered_at, created_at)
     select 'shop', decode(lpad(to_hex(n), 64, '0'), 'hex'), 'ann', now(), now() from generate_series(1, 1000) n`,
  );
  await store.database.query(
    `insert into api_keys (id, name, hash, scopes) values ('k1', 'orders', decode(repeat('0', 64), 'hex'), '{send}')`,
  );
  await store.database.query(
    `insert into scheduled_sends (id, app, lane, call, size, send_at)
     values (gen_random_uuid(), 'shop', 'transactional', '{}', 7, now() + interval '1 day')`,
  );
  await store.close();
  const worker: FleetWorker = {
    ...{ id: 'w-old', host: 'blade', pid: 7, version: workerVersion, sinceMs: Date.now(), apps: ['shop'] },
    ...{ troubles: {}, slowed: {} },
  };
  await beatWorker({ redis, prefix }, worker, 60_000);
  return worker;
}

async function facts(url: string) {
  const store = openTokenStore({ connectionString: url });
  try {
    const { rows } = await store.database.query(
      `select (select count(*)::int from devices where active) as devices,
         (select scopes from api_keys where id = 'k1') as scopes,
         (select notifications::int from scheduled_totals where app = 'shop') as scheduled`,
    );
    return rows[0];
  } finally {
    await store.close();
  }
}

const upgraded = {
  devices: 1_000,
  scopes: expect.arrayContaining(['send', 'broadcast', 'cancel']),
  scheduled: 7,
};

test('a fleet of an older version is looked at, backed up, migrated, and found finished when all is replaced', async () => {
  const worker = await startOlder();
  const { pending } = await readMigrationState(database.url);
  const backup = join(folder.path, 'before');

  const dry = await runCli(['upgrade', '--dry-run', '--backup', backup, '--json'], env);
  expect(dry).toMatchObject({ exitCode: 0, json: { version, dryRun: true, pending, ran: [], backup } });
  expect(await readMigrationState(database.url)).toMatchObject({ pending });
  await expect(access(backup)).rejects.toThrow(/ENOENT/);

  // Nothing is migrated backwards: whether there is to be a backup has to be said.
  const silent = await runCli(['upgrade'], env);
  expect(silent.exitCode).toBe(2);
  expect(silent.stderr).toMatch(/migrations would be run.*--backup FOLDER, or say --no-backup/);
  expect(await readMigrationState(database.url)).toMatchObject({ pending });

  const done = await runCli(['upgrade', '--backup', backup, '--json'], env);
  expect(done.json).toMatchObject({
    ran: pending,
    backup,
    services: [{ service: 'worker', at: 'blade, process 7', version: '0.0.9', standing: 'older' }],
  });
  expect(await facts(database.url)).toEqual(upgraded);
  expect(JSON.parse(await readFile(join(backup, 'manifest.json'), 'utf8'))).toMatchObject({
    database: { tables: expect.arrayContaining([expect.objectContaining({ name: 'devices', rows: 1_000 })]) },
  });
  const again = await runCli(['upgrade'], env);
  expect(again.stdout).toContain('The schema is of this version');
  expect(again.stdout).toMatch(/to be replaced, in any order:\n {2}worker at blade, process 7: 0\.0\.9/);

  await removeWorker({ redis, prefix }, worker.id);
  await beatWorker({ redis, prefix }, { ...worker, id: 'w-new', version }, 60_000);
  const finished = await runCli(['upgrade'], env);
  expect(finished.stdout).toContain(`All that run are of version ${version}: 1 worker`);
  await removeWorker({ redis, prefix }, 'w-new');

  // The backup is of the older schema, and the newer program restores it.
  const restored = await createTestDatabase(inject('databaseUrl'));
  try {
    await runCli(['restore', backup], { ...env, DATABASE_URL: restored.url });
    expect(await readMigrationState(restored.url)).toMatchObject({ pending: [] });
    expect(await facts(restored.url)).toEqual(upgraded);
  } finally {
    await restored.drop();
  }
}, 120_000);

test('a program that is older than the fleet changes nothing, and says which version to use', async () => {
  const worker = await startOlder('99.0.0');
  const { pending } = await readMigrationState(database.url);
  const refused = await runCli(['upgrade', '--no-backup', '--json'], env);
  expect(refused).toMatchObject({ exitCode: 1, json: { error: { code: 'version-older' } } });
  expect(refused.stdout).toContain('the worker at blade, process 7 is of version 99.0.0');
  expect(await readMigrationState(database.url)).toMatchObject({ pending });
  await removeWorker({ redis, prefix }, worker.id);

  const store = openTokenStore({ connectionString: database.url });
  await migrate(database.url);
  await store.database.query(
    `insert into pushfleet_migrations (name, run_on) values ('9999_of_the_future', now())`,
  );
  await store.close();
  const behind = await runCli(['upgrade', '--no-backup', '--json'], env);
  expect(behind).toMatchObject({ exitCode: 1, json: { error: { code: 'version-older' } } });
  expect(behind.stdout).toContain('9999_of_the_future');
});

test('an empty database needs no backup, and what waits in Redis is left as it is', async () => {
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix });
  await queue.enqueue({ app: 'shop', token: 'ab'.repeat(32), payload: { aps: { alert: 'Hello' } } });
  await queue.close();
  const before = (await redis.keys(`${prefix}:*`)).toSorted();
  const { exitCode, stdout } = await runCli(['upgrade'], env);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^Ran 0001_devices/);
  expect(stdout).toContain('No worker is alive and no API answers');
  expect((await redis.keys(`${prefix}:*`)).toSorted()).toEqual(before);
});
