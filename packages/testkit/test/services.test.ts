import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, expect, inject, test, vi } from 'vitest';
import { createTestDatabase, providePostgres, provideRedis } from '../src/index.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const own = { own: true, prefer: 'program', say: () => undefined } as const;

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

async function withRedis<Result>(url: string, ask: (client: Redis) => Promise<Result>): Promise<Result> {
  const client = new Redis(url, { retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    return await ask(client);
  } finally {
    client.disconnect();
  }
}

async function accepts(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  return (await new Promise((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy())) as boolean;
}

test('the global set-ups provide a Redis and a Postgres', async () => {
  expect(await withRedis(inject('redisUrl'), (client) => client.ping())).toBe('PONG');
  expect(inject('redisPrefix')).toMatch(/^pushfleet-test-[0-9a-f]{12}$/);
  expect(await query(inject('databaseUrl'), 'select 40 + 2')).toEqual([42]);
});

test('a Redis of our own evicts nothing and asks for its password', async () => {
  const redis = await provideRedis(own);
  cleanups.push(() => redis.stop());
  expect(await withRedis(redis.url, (client) => client.config('GET', 'maxmemory-policy'))).toEqual([
    'maxmemory-policy',
    'noeviction',
  ]);
  const stranger = new URL(redis.url);
  stranger.password = '';
  await expect(withRedis(stranger.href, (client) => client.get('x'))).rejects.toThrow(/NOAUTH/);
});

test('a killed Redis comes back on its port with its data', async () => {
  const redis = await provideRedis({ ...own, aof: true });
  cleanups.push(() => redis.stop());
  await withRedis(redis.url, (client) => client.set('kept', 'yes'));
  await redis.kill();
  expect(await accepts(redis.url)).toBe(false);
  await redis.restart();
  expect(await withRedis(redis.url, (client) => client.get('kept'))).toBe('yes');
});

test('a killed Postgres comes back on its port with its data', async () => {
  const postgres = await providePostgres(own);
  cleanups.push(() => postgres.stop());
  await query(postgres.url, 'create table kept (n int)');
  await query(postgres.url, 'insert into kept values (7)');
  await postgres.kill();
  expect(await accepts(postgres.url)).toBe(false);
  await postgres.restart();
  expect(await query(postgres.url, 'select n from kept')).toEqual([7]);
});

test('on a given Redis only the keys under our prefix are removed, and it cannot be killed', async () => {
  const given = await provideRedis(own);
  cleanups.push(() => given.stop());
  const redis = await provideRedis({ env: { REDIS_URL: given.url }, say: () => undefined });
  expect(redis.kind).toBe('given');
  await withRedis(given.url, (client) => client.mset(`${redis.prefix}:{a}:x`, '1', 'theirs', '1'));
  await expect(redis.kill()).rejects.toThrow(/not ours to kill/);
  await redis.stop();
  expect(await withRedis(given.url, (client) => client.keys('*'))).toEqual(['theirs']);
});

test('on a given Postgres the tests get a database of their own, which goes with them', async () => {
  const given = await providePostgres(own);
  cleanups.push(() => given.stop());
  const databases = 'select datname from pg_database order by 1';
  const before = await query(given.url, databases);
  const postgres = await providePostgres({ env: { DATABASE_URL: given.url }, say: () => undefined });
  await query(postgres.url, 'create table mine ()');
  expect((await query(given.url, databases)).length).toBe(before.length + 1);
  await postgres.stop();
  expect(await query(given.url, databases)).toEqual(before);
});

test('a test file can have a database to itself, dropped with its sessions', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  const session = new pg.Client(database.url);
  session.on('error', () => undefined);
  await session.connect();
  await database.drop();
  await expect(query(database.url, 'select 1')).rejects.toThrow(/does not exist/);
});

test('services die with a process that is killed, and leave no folder', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'pushfleet-test-'));
  cleanups.push(() => rm(temporary, { recursive: true, force: true }));
  // PostgreSQL may run under another account.
  await chmod(temporary, 0o711);
  const holder = spawn(
    process.execPath,
    [fileURLToPath(new URL('fixtures/hold-services.ts', import.meta.url))],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TMPDIR: temporary },
    },
  );
  cleanups.push(() => holder.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: holder.stdout }), 'line');
  const held = JSON.parse(line as string) as { redisUrl: string; databaseUrl: string; kinds: string[] };
  const { redisUrl, databaseUrl, kinds } = held;
  expect(await accepts(redisUrl)).toBe(true);
  expect(await accepts(databaseUrl)).toBe(true);
  const folders = async (): Promise<string[]> =>
    (await readdir(temporary)).filter((name) => name.startsWith('pushfleet-'));
  // Containers keep their data elsewhere.
  expect(await folders()).toHaveLength(kinds.filter((kind) => kind === 'program').length);
  holder.kill('SIGKILL');
  await vi.waitFor(
    async () => {
      expect(await accepts(redisUrl)).toBe(false);
      expect(await accepts(databaseUrl)).toBe(false);
      expect(await folders()).toEqual([]);
    },
    { timeout: 15_000, interval: 50 },
  );
});
