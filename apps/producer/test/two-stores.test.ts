import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BatchId, pushJobDataSchema, readCancellation } from '@pushfleet/push-queue';
import {
  createTestDatabase,
  generateTokens,
  openFaultProxy,
  type StartedProcess,
  startProcess,
} from '@pushfleet/testkit';
import { migrate, openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';

// What is written to both Redis and Postgres, and a producer that is killed between the two writes: a statement is held up
// in Postgres by a trigger, or Redis is cut off. Another producer takes over. docs/decisions/0046-two-stores.md has the list.

const entry = new URL('../src/main.ts', import.meta.url);
const tokens = generateTokens({ count: 30, seed: 41 });
const patience = { timeout: 60_000, interval: 50 };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'two-stores-'));
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    'apps: { shop: { topic: t, environment: sandbox, transport: http2, credential: { p12: none.p12 } } }',
  );
});
afterAll(async () => rm(folder, { recursive: true }));

interface Producer extends StartedProcess {
  call(
    method: string,
    path: string,
    body?: object,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: what it is like is what the tests find out.
  ): Promise<{ status: number; body: any }>;
}

async function open() {
  const database = await createTestDatabase(inject('databaseUrl'));
  await migrate(database.url);
  const store: TokenStore = openTokenStore({ connectionString: database.url });
  const prefix = `${inject('redisPrefix')}-${randomUUID()}`;
  const redis = new Redis(inject('redisUrl'));
  const started: StartedProcess[] = [];
  onTestFinished(async () => {
    await Promise.all(started.map((process) => process.kill()));
    redis.disconnect();
    await store.close();
    await database.drop();
  });
  const sql = async (text: string, values: readonly unknown[] = []) =>
    (await store.database.query(text, values)).rows as Record<string, unknown>[];
  await store.devices.registerMany(
    'shop',
    tokens.map((token) => ({ token: token as never, userId: 'anna' })),
  );

  const start = async (redisUrl = inject('redisUrl')): Promise<Producer> => {
    const process = await startProcess({
      entry,
      env: {
        REDIS_URL: redisUrl,
        DATABASE_URL: database.url,
        PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
        PUSHFLEET_REDIS_PREFIX: prefix,
        PUSHFLEET_PORT: '0',
        PUSHFLEET_ADMIN_PORT: '0',
      },
    });
    started.push(process);
    const url = `http://127.0.0.1:${(process.ready as { port: number }).port}`;
    const call: Producer['call'] = async (method, path, body, headers = {}) => {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: await answer.json() };
    };
    await expect
      .poll(async () => (await call('GET', '/v1/devices?app=shop&userId=x')).status, patience)
      .toBe(200);
    return { ...process, call };
  };

  /** Holds up statements that write such a row. Resolves when one is held up. */
  const holdUp = async (table: string, on: 'insert' | 'update', condition: string) => {
    await sql(
      `create or replace function hold_up() returns trigger language plpgsql
       as $$ begin perform pg_sleep(600); return new; end $$`,
    );
    await sql(
      `create trigger hold_up before ${on} on ${table} for each row when (${condition}) execute function hold_up()`,
    );
    const held = `select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
    return {
      reached: () => expect.poll(async () => (await sql(held)).length, patience).toBeGreaterThan(0),
      /** The producer dies, and with it what it had not committed. */
      kill: async (producer: StartedProcess) => {
        await producer.kill();
        const end = `select pg_terminate_backend(pid) from (${held}) as held`;
        await expect.poll(async () => (await sql(end)).length, patience).toBe(0);
        await sql(`drop trigger if exists hold_up on ${table}`);
      },
    };
  };

  /** Tokens in the queue, by batch. */
  const queued = async () => {
    const found = new Map<string, string[]>();
    for (const lane of ['transactional', 'bulk']) {
      const base = `${prefix}:{shop}:${lane}`;
      for (const id of await redis.lrange(`${base}:wait`, 0, -1)) {
        const job = pushJobDataSchema.parse(JSON.parse((await redis.hget(`${base}:${id}`, 'data'))!));
        const all = Buffer.from(job.tokens, 'base64').toString('hex');
        const some = Array.from({ length: job.count }, (_, at) => all.slice(at * 64, (at + 1) * 64));
        found.set(job.batch, [...(found.get(job.batch) ?? []), ...some]);
      }
    }
    return found;
  };
  const allQueued = async () => [...(await queued()).values()].flat().toSorted();
  const uncancelled = async () => {
    const batches = [...(await queued()).keys()];
    const marks = await Promise.all(
      batches.map((batch) => readCancellation({ redis, prefix }, 'shop', batch as BatchId)),
    );
    return batches.filter((_, place) => marks[place]?.whole !== true);
  };
  const finishedEvents = async (batch: string) =>
    (
      await sql(`select payload from events where kind = 'batch.finished' and payload->>'batch' = $1`, [
        batch,
      ])
    ).length;
  return { store, sql, start, holdUp, queued, allQueued, uncancelled, finishedEvents };
}

const broadcast = { app: 'shop', audience: { all: true }, alert: 'x' };
const everybody = tokens.toSorted();

test('a chunk is enqueued, and not written down: the broadcast goes on, every device is there once', async () => {
  const { start, holdUp, allQueued } = await open();
  const first = await start();
  const hold = await holdUp('broadcasts', 'update', 'old.chunk <> new.chunk');
  const { body } = await first.call('POST', '/v1/broadcasts', broadcast);
  await hold.reached();
  expect(await allQueued()).toEqual(everybody);
  await hold.kill(first);
  const second = await start();
  const get = async () => (await second.call('GET', `/v1/broadcasts/${body.broadcastId}`)).body;
  await expect.poll(get, patience).toMatchObject({ state: 'delivering', enqueued: 30 });
  expect(await allQueued()).toEqual(everybody);
}, 180_000);

test('the same, and it is cancelled: that chunk is cancelled, and told', async () => {
  const { start, holdUp, allQueued, uncancelled } = await open();
  const first = await start();
  const hold = await holdUp('broadcasts', 'update', 'old.chunk <> new.chunk');
  const { body } = await first.call('POST', '/v1/broadcasts', broadcast);
  await hold.reached();
  await hold.kill(first);
  const second = await start();
  expect(await second.call('DELETE', `/v1/broadcasts/${body.broadcastId}`)).toMatchObject({
    status: 202,
    body: { state: 'cancelled', enqueued: 30 },
  });
  expect(await allQueued()).toEqual(everybody);
  expect(await uncancelled()).toEqual([]);
}, 180_000);

test('the same, and it is paused: what is shown is told by the queue, and it goes on to its end', async () => {
  const { start, holdUp, allQueued, sql } = await open();
  const first = await start();
  const hold = await holdUp('broadcasts', 'update', 'old.chunk <> new.chunk');
  const { body } = await first.call('POST', '/v1/broadcasts', broadcast);
  await hold.reached();
  await hold.kill(first);
  await sql(`update broadcasts set state = 'paused'`);
  const second = await start();
  const get = async () => (await second.call('GET', `/v1/broadcasts/${body.broadcastId}`)).body;
  await expect.poll(get, patience).toMatchObject({ state: 'paused', enqueued: 30 });
  expect(await second.call('POST', `/v1/broadcasts/${body.broadcastId}/resume`)).toMatchObject({
    status: 200,
  });
  await expect.poll(get, patience).toMatchObject({ state: 'delivering', enqueued: 30 });
  expect(await allQueued()).toEqual(everybody);
}, 180_000);

test('a broadcast is being cancelled while Redis is away: it is shown as such, and another finishes it', async () => {
  const { start, uncancelled, queued } = await open();
  const target = new URL(inject('redisUrl'));
  const proxy = await openFaultProxy({ target: { port: Number(target.port) } });
  onTestFinished(() => proxy.close());
  target.hostname = proxy.host;
  target.port = String(proxy.port);
  const first = await start(target.href);
  const { body } = await first.call('POST', '/v1/broadcasts', broadcast);
  const path = `/v1/broadcasts/${body.broadcastId}`;
  await expect.poll(async () => (await first.call('GET', path)).body.enqueued, patience).toBe(30);
  await proxy.disable();
  proxy.cut('reset');
  expect(await first.call('DELETE', path)).toMatchObject({ status: 202, body: { state: 'cancelling' } });
  expect(await uncancelled()).toHaveLength((await queued()).size);
  await first.kill();
  const second = await start();
  await expect
    .poll(async () => (await second.call('GET', path)).body, patience)
    .toMatchObject({
      state: 'cancelled',
    });
  expect(await uncancelled()).toEqual([]);
}, 180_000);

test('a broadcast is cancelled in Redis, and not in Postgres: another writes it down', async () => {
  const { start, holdUp, uncancelled } = await open();
  const first = await start();
  const { body } = await first.call('POST', '/v1/broadcasts', broadcast);
  const path = `/v1/broadcasts/${body.broadcastId}`;
  await expect.poll(async () => (await first.call('GET', path)).body.enqueued, patience).toBe(30);
  const hold = await holdUp('broadcasts', 'update', `new.state = 'cancelled'`);
  const answer = first.call('DELETE', path);
  answer.catch(() => undefined);
  await hold.reached();
  await hold.kill(first);
  const second = await start();
  await expect
    .poll(async () => (await second.call('GET', path)).body, patience)
    .toMatchObject({
      state: 'cancelled',
    });
  expect(await uncancelled()).toEqual([]);
}, 180_000);

const later = { app: 'shop', userId: 'anna', alert: 'x' };
const soon = () => new Date(Date.now() + 1_500).toISOString();

test('a scheduled send is enqueued, and not written down: it is there once', async () => {
  const { start, holdUp, allQueued, store } = await open();
  const first = await start();
  const hold = await holdUp('scheduled_sends', 'update', `new.state = 'enqueued'`);
  const { body } = await first.call('POST', '/v1/notifications', { ...later, sendAt: soon() });
  await hold.reached();
  expect(await allQueued()).toEqual(everybody);
  await hold.kill(first);
  // As after the 30 seconds of its lease; whose devices they are has changed meanwhile.
  await store.database.query(`update scheduled_sends set lease_until = '-infinity'`);
  await store.devices.register('shop', { token: tokens[0] as never, userId: 'bert' });
  const second = await start();
  await expect
    .poll(async () => (await store.scheduledSends.get(body.batchId))?.state, patience)
    .toBe('enqueued');
  expect(await allQueued()).toEqual(everybody);
  expect(await second.call('GET', `/v1/batches/${body.batchId}`)).toMatchObject({
    body: { state: 'queued', size: 30, queued: 30 },
  });
}, 180_000);

test('a key is kept for a scheduled send that is not written down: the call that repeats it does so', async () => {
  const { start, holdUp, allQueued, queued } = await open();
  const first = await start();
  const hold = await holdUp('scheduled_sends', 'insert', 'true');
  const request = { ...later, sendAt: soon() };
  const key = { 'idempotency-key': 'once' };
  const lost = first.call('POST', '/v1/notifications', request, key);
  lost.catch(() => undefined);
  await hold.reached();
  await hold.kill(first);
  const second = await start();
  const again = await second.call('POST', '/v1/notifications', request, key);
  expect(again).toMatchObject({ status: 202, body: { replayed: true, notificationIds: [] } });
  expect(await second.call('POST', '/v1/notifications', request, key)).toEqual(again);
  await expect.poll(allQueued, patience).toEqual(everybody);
  expect([...(await queued()).keys()]).toEqual([again.body.batchId]);
}, 180_000);

test('a scheduled send is kept out of the queue, and not shown as cancelled: another says so, once', async () => {
  const { start, holdUp, allQueued, finishedEvents, store } = await open();
  const first = await start();
  const sendAt = new Date(Date.now() + 3_600_000).toISOString();
  const { body } = await first.call('POST', '/v1/notifications', { ...later, sendAt });
  const hold = await holdUp('scheduled_sends', 'update', `new.state = 'cancelled'`);
  const path = `/v1/batches/${body.batchId}`;
  const lost = first.call('DELETE', path);
  lost.catch(() => undefined);
  await hold.reached();
  expect(await finishedEvents(body.batchId)).toBe(0);
  await hold.kill(first);
  await store.database.query(`update scheduled_sends set send_at = now(), lease_until = '-infinity'`);
  const second = await start();
  await expect
    .poll(async () => (await second.call('GET', path)).body, patience)
    .toMatchObject({
      state: 'finished',
      cancelled: 1,
    });
  expect(await allQueued()).toEqual([]);
  expect(await finishedEvents(body.batchId)).toBe(1);
}, 180_000);
