import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRedisClient } from '@pushfleet/push-queue';
import {
  createPrivateFolder,
  createTestDatabase,
  findRedisProgram,
  openRedisCluster,
  openRedisProgram,
  openTlsRedis,
  openWatchedRedis,
  tlsRedisClient,
} from '@pushfleet/testkit';
import { migrate } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { runCli } from './run-cli.ts';

// Each way in which REDIS_URL may name a Redis: what is backed up, another Redis takes up.

const program = await findRedisProgram();
let folder: Awaited<ReturnType<typeof createPrivateFolder>>;
let databaseUrl: string;

beforeAll(async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  await migrate(database.url);
  databaseUrl = database.url;
  folder = await createPrivateFolder('backup-redis');
  return async () => {
    await folder.remove();
    await database.drop();
  };
});

interface Started {
  readonly url: string;
  /** How many nodes have keys. */
  readonly nodes: number;
  stop(): Promise<void>;
}

const kinds: Readonly<Record<string, (program: string) => Promise<Started | undefined>>> = {
  // Undefined: this Redis was built without TLS.
  'TLS that wants a certificate': async (redis) => {
    const server = await openTlsRedis(redis);
    return server && { url: server.url(tlsRedisClient), nodes: 1, stop: () => server.stop() };
  },
  'a cluster': async (redis) => {
    const cluster = await openRedisCluster(redis, { primaries: 3, replicaFor: '{shop}' });
    return { url: cluster.url, nodes: 3, stop: () => cluster.stop() };
  },
  sentinels: async (redis) => {
    const watched = await openWatchedRedis(redis);
    return { url: watched.url, nodes: 1, stop: () => watched.stop() };
  },
};

test.skipIf(program === undefined).each(Object.entries(kinds))(
  'the snapshot of %s is whole',
  async (kind, start) => {
    const started = await start(program!);
    if (started === undefined) return;
    const { url, nodes, stop } = started;
    onTestFinished(stop, 60_000);
    const client = createRedisClient(url);
    client.on('error', () => undefined);
    const names = Array.from({ length: 3_000 }, (_, at) => `key:{${at}}`);
    await Promise.all(names.map((name) => client.set(name, 'x'.repeat(200))));
    client.disconnect();

    const backup = join(folder.path, kind.replaceAll(' ', '-'));
    const env = { REDIS_URL: url, DATABASE_URL: databaseUrl };
    const { json } = await runCli(['backup', backup, '--json'], env);
    expect(json).toMatchObject({ format: 1, redis: Array.from({ length: nodes }, () => expect.anything()) });

    let restored = 0;
    for (const { file } of json.redis as { file: string }[]) {
      const data = await createPrivateFolder('restored');
      await copyFile(join(backup, file), join(data.path, 'dump.rdb'));
      const server = await openRedisProgram(program!, { configuration: [`dir "${data.path}"`] });
      const reader = new Redis(server.url);
      restored += await reader.dbsize();
      reader.disconnect();
      await server.stop();
      await data.remove();
    }
    expect(restored).toBe(names.length);
  },
  180_000,
);

test.skipIf(program === undefined)(
  'a Redis that gives no snapshot says why, and what to do',
  async () => {
    const server = await openRedisProgram(program!, { configuration: ['rename-command PSYNC ""'] });
    onTestFinished(() => server.stop(), 60_000);
    const env = { REDIS_URL: server.url, DATABASE_URL: databaseUrl };
    const refused = await runCli(['backup', join(folder.path, 'refused'), '--json'], env);
    expect(refused).toMatchObject({ exitCode: 1, json: { error: { code: 'redis-unavailable' } } });
    expect(refused.stdout).toMatch(/gives no snapshot: .*unknown command.*--no-redis/i);
    const alone = await runCli(['backup', join(folder.path, 'alone'), '--no-redis', '--json'], env);
    expect(alone).toMatchObject({ exitCode: 0, json: { redis: [] } });
  },
  60_000,
);
