import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createTestDatabase,
  generateTokens,
  openFaultProxy,
  runProcess,
  type StartedProcess,
  startProcess,
} from '@pushfleet/testkit';
import { openTokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';

const entry = new URL('../src/main.ts', import.meta.url);
const [token = ''] = generateTokens({ count: 1, seed: 14 });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'producer-'));
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    'apps: { shop: { topic: t, environment: sandbox, transport: http2, credential: { p12: none.p12 } } }',
  );
});
afterAll(async () => rm(folder, { recursive: true }));

async function start(
  env: Record<string, string> = {},
): Promise<StartedProcess & { url: string; adminUrl: string }> {
  const started = await startProcess({ entry, env: environment(env) });
  onTestFinished(async () => void (await started.kill()));
  const { port, adminPort } = started.ready as { port: number; adminPort: number };
  return { ...started, url: `http://127.0.0.1:${port}`, adminUrl: `http://127.0.0.1:${adminPort}` };
}

function environment(env: Record<string, string>): Record<string, string> {
  return {
    REDIS_URL: inject('redisUrl'),
    DATABASE_URL: inject('databaseUrl'),
    PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
    PUSHFLEET_REDIS_PREFIX: `${inject('redisPrefix')}-process`,
    PUSHFLEET_PORT: '0',
    PUSHFLEET_ADMIN_PORT: '0',
    ...env,
  };
}

async function send(url: string): Promise<Response> {
  return fetch(`${url}/v1/notifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: 'shop', token, alert: 'x' }),
  });
}

async function proxied(url: string) {
  const target = new URL(url);
  const proxy = await openFaultProxy({ target: { port: Number(target.port) } });
  onTestFinished(() => proxy.close());
  target.hostname = proxy.host;
  target.port = String(proxy.port);
  return { proxy, url: target.href };
}

test('it starts, serves, says how it is and stops in order', async () => {
  const { url, adminUrl, stop } = await start();
  expect((await send(url)).status).toBe(202);
  await expect.poll(async () => (await fetch(`${adminUrl}/readyz`)).status).toBe(200);
  expect(await (await fetch(`${adminUrl}/metrics`)).text()).toContain(
    'pushfleet_enqueued_notifications_total',
  );
  expect(await stop()).toMatchObject({ code: 0 });
});

test('a stop ends in time and in order, whatever connections are open', async () => {
  const { url, stop } = await start({ PUSHFLEET_DRAIN_TIMEOUT: '1s' });
  const { port } = new URL(url);
  const open = async (start: string) => {
    const socket = connect(Number(port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(start);
  };
  const head = (target: string, type: string) =>
    `POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-length: 900\r\n\r\n`;
  await open('');
  await open(`${head('/v1/devices/import?app=shop', 'text/csv')}token\n`);
  await open(`${head('/v1/notifications', 'application/json')}{`);
  expect((await send(url)).status).toBe(202);
  expect(await stop()).toMatchObject({ code: 0 });
}, 60_000);

test('with Postgres away sends go out, and what needs Postgres is answered 503 until it is back', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  onTestFinished(() => database.drop());
  const { proxy, url: databaseUrl } = await proxied(database.url);
  await proxy.disable();
  const { url, adminUrl } = await start({ DATABASE_URL: databaseUrl });
  expect((await send(url)).status).toBe(202);
  const device = () => fetch(`${url}/v1/devices/${token}?app=shop`);
  const away = await device();
  expect(away.status).toBe(503);
  expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await away.json()).toMatchObject({ code: 'database-unavailable' });
  const ready = await fetch(`${adminUrl}/readyz`);
  expect({ status: ready.status, body: await ready.json() }).toMatchObject({
    status: 200,
    body: { database: 'connecting' },
  });
  await proxy.enable();
  await expect.poll(async () => (await device()).status, { timeout: 20_000 }).toBe(404);
  await proxy.disable();
  proxy.cut('reset');
  expect((await device()).status).toBe(503);
  expect((await send(url)).status).toBe(202);
});

test('a Postgres that does not let it in is tried again, says why, and serves once it does', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  const owner = openTokenStore({ connectionString: database.url }).database;
  const role = `pushfleet_test_${randomUUID().slice(0, 8)}`;
  // Without the right to log in, so that a server that takes any password refuses it too.
  await owner.query(`create role ${role} nologin password 'right'`);
  onTestFinished(async () => {
    await owner.query(`reassign owned by ${role} to current_user`);
    await owner.query(`drop owned by ${role}`);
    await owner.query(`drop role ${role}`);
    await owner.close();
    await database.drop();
  });
  await owner.query(`grant create on schema public to ${role}`);
  const databaseUrl = new URL(database.url);
  databaseUrl.username = role;
  databaseUrl.password = 'wrong';
  const { url, adminUrl, stop } = await start({ DATABASE_URL: databaseUrl.href });
  const health = async () => (await fetch(`${adminUrl}/readyz`)).json();
  await expect.poll(health, { timeout: 20_000 }).toMatchObject({
    status: 'ok',
    database: 'connecting',
    databaseTrouble: expect.stringMatching(new RegExp(`"${role}"`)),
  });
  expect((await send(url)).status).toBe(202);
  const device = () => fetch(`${url}/v1/devices/${token}?app=shop`);
  expect(await (await device()).json()).toMatchObject({ status: 503, code: 'database-unavailable' });
  await owner.query(`alter role ${role} login password 'wrong'`);
  await expect.poll(async () => (await device()).status, { timeout: 20_000 }).toBe(404);
  expect(await health()).toEqual({
    status: 'ok',
    reasons: [],
    database: 'ready',
    build: { version: expect.any(String), commit: expect.any(String), node: process.version },
  });
  expect(await stop()).toMatchObject({ code: 0 });
}, 60_000);

test('with Redis away sends are answered 503 with retry-after, and 202 again when it is back', async () => {
  const { proxy, url: redisUrl } = await proxied(inject('redisUrl'));
  const { url, adminUrl, process: producer } = await start({ REDIS_URL: redisUrl });
  await proxy.disable();
  proxy.cut('reset');
  const away = await send(url);
  expect(away.status).toBe(503);
  expect(Number(away.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await away.json()).toMatchObject({ code: 'redis-unavailable' });
  expect((await fetch(`${adminUrl}/readyz`)).status).toBe(503);
  await proxy.enable();
  await expect.poll(async () => (await send(url)).status, { timeout: 20_000 }).toBe(202);
  for (const message of ['sends are refused until it can', 'Redis answers again']) {
    await producer.waitForLine(({ text }) => text.includes(message) || undefined, {
      what: `did not say "${message}"`,
      timeoutMs: 20_000,
    });
  }
}, 60_000);

test.each<[name: string, env: Record<string, string>, message: RegExp]>([
  ['a Redis that is no URL', { REDIS_URL: 'localhost' }, /REDIS_URL: must be a URL/],
  [
    'a configuration that is not there',
    { PUSHFLEET_CONFIG: '/none.yaml' },
    /PUSHFLEET_CONFIG: .*cannot be read/,
  ],
  ['a port that is no number', { PUSHFLEET_PORT: 'http' }, /PUSHFLEET_PORT/],
  [
    'a Redis that cannot be reached',
    { REDIS_URL: 'redis://127.0.0.1:1' },
    /^Redis cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1$/m,
  ],
])('%s stops the start with one clear message', async (_name, env, message) => {
  const { code, stderr } = await runProcess({ entry, env: environment(env) });
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
});

test('a port that is taken stops the start with one clear message', async () => {
  const { url } = await start();
  const { code, stderr } = await runProcess({
    entry,
    env: environment({ PUSHFLEET_PORT: new URL(url).port }),
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/PUSHFLEET_PORT/);
});

test('producers that are killed while they answer, and others that are asked the same, yield one push per key', async () => {
  const prefix = `${inject('redisPrefix')}-killed`;
  const env = { PUSHFLEET_REDIS_PREFIX: prefix };
  const places = Array.from({ length: 300 }, (_, place) => place);
  const ask = (url: string, place: number, batch: boolean) =>
    fetch(`${url}/v1/notifications`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `order-${place}` },
      body: JSON.stringify(
        batch
          ? { app: 'shop', defaults: { alert: `${place}` }, notifications: [{ token }, { token }] }
          : { app: 'shop', token, alert: `${place}` },
      ),
    });
  const answers = new Map<number, string>();
  for (const killAfter of [40, 150]) {
    const doomed = await start(env);
    let answered = 0;
    const asked = places.map(async (place) => {
      const answer = await ask(doomed.url, place, place % 3 === 0);
      const { batchId } = (await answer.json()) as { batchId: string };
      answered += 1;
      if (answered === killAfter) void doomed.kill();
      expect(batchId).toBe(answers.get(place) ?? batchId);
      answers.set(place, batchId);
    });
    await Promise.allSettled(asked);
    await doomed.kill();
  }
  const [one, other] = await Promise.all([start(env), start(env)]);
  await Promise.all(
    places.map(async (place) => {
      const both = await Promise.all([one, other].map(({ url }) => ask(url, place, place % 3 === 0)));
      for (const answer of both) {
        expect(answer.status).toBe(202);
        const { batchId } = (await answer.json()) as { batchId: string };
        expect(batchId).toBe(answers.get(place) ?? batchId);
        answers.set(place, batchId);
      }
    }),
  );
  const redis = new Redis(inject('redisUrl'));
  onTestFinished(() => redis.disconnect());
  // 100 of two, and 200 of one.
  expect(await redis.hget(`${prefix}:{shop}:totals`, 'enqueued:transactional')).toBe('400');
}, 90_000);

test('a producer that Postgres does not let in goes on by itself when it does, at the start and later', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  const role = `role_${randomUUID().slice(0, 8)}`;
  const owner = openTokenStore({ connectionString: database.url });
  const sql = (text: string) => owner.database.query(text);
  await sql(`create role ${role} login superuser password 'right'`);
  onTestFinished(async () => {
    await sql(`drop owned by ${role}; drop role ${role}`);
    await owner.close();
    await database.drop();
  });
  const target = new URL(database.url);
  target.username = role;
  target.password = 'wrong';
  const { url, adminUrl, kill } = await start({ DATABASE_URL: target.href });
  const device = async () => (await fetch(`${url}/v1/devices/${token}?app=shop`)).status;
  const trouble = async () =>
    ((await (await fetch(`${adminUrl}/readyz`)).json()) as { databaseTrouble?: string }).databaseTrouble;
  await expect.poll(trouble, { timeout: 20_000 }).toContain('password');
  expect(await device()).toBe(503);
  expect((await send(url)).status).toBe(202);
  await sql(`alter role ${role} password 'wrong'`);
  await expect.poll(device, { timeout: 30_000 }).toBe(404);
  // And once more while it runs.
  await sql(`alter role ${role} password 'another'`);
  await sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`);
  await expect.poll(device, { timeout: 20_000 }).toBe(503);
  await sql(`alter role ${role} password 'wrong'`);
  await expect.poll(device, { timeout: 20_000 }).toBe(404);
  await kill();
}, 120_000);
