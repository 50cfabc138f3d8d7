import { randomUUID } from 'node:crypto';
import type { Simulator, StartedService } from '@pushfleet/testkit';
import {
  findFreePort,
  openFaultProxy,
  type PostgresService,
  providePostgres,
  provideRedis,
  type RedisService,
  startSimulator,
} from '@pushfleet/testkit';
import { afterAll, test as base, beforeAll, expect, onTestFinished, vi } from 'vitest';
import { type Fleet, metric, newToken, nowSeconds, openFleet, reportOf } from './sweeper-test.ts';

// Each fault strikes while reports and feedback are on their way; afterwards the same sums have to be true.

let postgres: PostgresService;
let redis: RedisService;
let simulator: Simulator;
beforeAll(async () => {
  [postgres, redis, simulator] = await Promise.all([
    providePostgres({ own: true }),
    provideRedis({ own: true, aof: true }),
    startSimulator(),
  ]);
});
afterAll(() => Promise.all([postgres?.stop(), redis?.stop(), simulator?.stop()]));

/** Every test has an app of its own in the one database. */
const test = base.extend<{ app: string; fleet: Fleet }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of fixtures from the pattern
  app: async ({}, use) => use(`app-${randomUUID().slice(0, 8)}`),
  fleet: async ({ app }, use) => {
    await simulator.control.reset();
    const services = { simulator, databaseUrl: postgres.url, redisUrl: redis.url };
    const { fleet, close } = await openFleet({ ...services, redisPrefix: randomUUID() }, { [app]: {} });
    await use(fleet);
    await close();
  },
});

const patience = { timeout: 80_000, interval: 100 };
const reportCount = 60;
const tupleCount = 400;
/** Of one tuple with a token of 32 bytes. */
const tupleLength = 4 + 2 + 32;

/** A sweeper with about two seconds of work: reports, one at a time, and feedback that trickles. */
async function startWork(
  fleet: Fleet,
  app: string,
  { everyMs = 50, ...change }: Parameters<Fleet['sweeper']>[0] & { everyMs?: number } = {},
) {
  const {
    store,
    report,
    simulator: { control },
  } = fleet;
  const tokens = Array.from({ length: tupleCount }, newToken);
  await store.devices.registerMany(
    app,
    tokens.map((token) => ({ token, registeredAt: new Date(0) })),
  );
  await control.feedback(tokens.map((token) => ({ token, time: nowSeconds() - 60 })));
  await control.faults({
    rules: [{ on: 'feedback', action: { kind: 'slice', bytes: 10 * tupleLength + 7, everyMs } }],
  });
  const reports = Array.from({ length: reportCount }, () => reportOf(app));
  const sendReports = async () => {
    for (const [place, one] of reports.entries()) {
      await report(one);
      if (place % 5 === 4) await report(one);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  const sweeper = await fleet.sweeper(change);
  return { sweeper, sending: sendReports() };
}

/** Nothing lost, nothing twice. */
async function expectAllDone({ store, sql }: Fleet, app: string, sweeper: StartedService): Promise<void> {
  await vi.waitFor(async () => {
    const [sums] = await sql(
      `select count(*)::integer as batches, sum(accepted_presumed)::integer as accepted,
         count(finished_at)::integer as finished from batches where app = $1`,
      [app],
    );
    expect(sums).toEqual({ batches: reportCount, accepted: 10 * reportCount, finished: reportCount });
    const [devices] = await sql(
      'select count(*) filter (where not active)::integer as inactive from devices where app = $1',
      [app],
    );
    expect(devices).toEqual({ inactive: tupleCount });
    expect(await metric(sweeper, `pushfleet_outcome_backlog_reports{app="${app}"}`)).toBe(0);
    expect(await (await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`)).json()).toMatchObject({
      reasons: [],
    });
  }, patience);
  const [readings] = await sql(
    `select sum(tuples)::integer as tuples, sum(applied)::integer as applied, sum(deactivated)::integer as deactivated
     from feedback_readings where app = $1`,
    [app],
  );
  expect(readings).toEqual({ tuples: tupleCount, applied: tupleCount, deactivated: tupleCount });
  const [changes] = await sql(
    `select count(*)::integer as n from device_changes where app = $1 and kind = 'deactivated'`,
    [app],
  );
  expect(changes).toEqual({ n: tupleCount });
  expect(await sql(`select 1 from events where app = $1 and kind = 'batch.finished'`, [app])).toHaveLength(
    reportCount,
  );
  expect(await sql('select accepted_presumed::integer as n from app_totals where app = $1', [app])).toEqual([
    { n: 10 * reportCount },
  ]);
  expect(await store.accounting.inconsistentBatches()).toEqual([]);
}

/** Some of it is done, and some is not. */
async function midway({ sql }: Fleet, app: string): Promise<void> {
  await vi.waitFor(async () => {
    const [state] = await sql(
      `select (select count(*) from batches where app = $1)::integer as batches,
         (select coalesce(sum(applied), 0) from feedback_readings where app = $1)::integer as tuples`,
      [app],
    );
    expect(state!.batches).toBeGreaterThan(3);
    expect(state!.tuples).toBeGreaterThan(20);
  }, patience);
}

test('Postgres is killed and comes back: the backlog shows, and is caught up', async ({ app, fleet }) => {
  const { sweeper, sending } = await startWork(fleet, app);
  await midway(fleet, app);
  await postgres.kill();
  await sending;
  await vi.waitFor(async () => {
    expect(await metric(sweeper, `pushfleet_outcome_backlog_reports{app="${app}"}`)).toBeGreaterThan(10);
    expect(await metric(sweeper, `pushfleet_outcome_backlog_age_seconds{app="${app}"}`)).toBeGreaterThan(0);
    const ready = await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      reasons: expect.arrayContaining([expect.stringMatching(/^Postgres, outcome reports:/)]),
    });
  }, patience);
  await postgres.restart();
  await expectAllDone(fleet, app, sweeper);
  expect(await sweeper.stop()).toMatchObject({ code: 0 });
});

test('connections to Postgres are cut again and again', async ({ app, fleet }) => {
  const url = new URL(postgres.url);
  const proxy = await openFaultProxy({ target: { port: Number(url.port) } });
  onTestFinished(() => proxy.close());
  url.hostname = proxy.host;
  url.port = String(proxy.port);
  const { sweeper, sending } = await startWork(fleet, app, { databaseUrl: url.href });
  await midway(fleet, app);
  for (let cut = 0; cut < 12; cut++) {
    proxy.cut(cut % 2 === 0 ? 'reset' : 'close');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await sending;
  await expectAllDone(fleet, app, sweeper);
});

test('Postgres no longer takes the password, and then does again', async ({ app, fleet }) => {
  const { sql } = fleet;
  const role = `sweeper_${randomUUID().slice(0, 8)}`;
  await sql(`create role ${role} superuser login password 'agreed'`);
  const url = new URL(postgres.url);
  url.username = role;
  url.password = 'agreed';
  const { sweeper, sending } = await startWork(fleet, app, { databaseUrl: url.href });
  await midway(fleet, app);
  await sql(`alter role ${role} password 'another'`);
  await sql('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
  await sending;
  await vi.waitFor(async () => {
    const ready = await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`);
    expect(await ready.json()).toMatchObject({
      reasons: expect.arrayContaining([expect.stringMatching(/outcome reports: .*password/)]),
    });
  }, patience);
  await sql(`alter role ${role} password 'agreed'`);
  await expectAllDone(fleet, app, sweeper);
});

test('Redis is killed and comes back', async ({ app, fleet }) => {
  const { sweeper, sending } = await startWork(fleet, app);
  await midway(fleet, app);
  await redis.kill();
  await vi.waitFor(async () => {
    const ready = await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`);
    expect(await ready.json()).toMatchObject({
      reasons: expect.arrayContaining([expect.stringMatching(/^Redis, outcome reports:/)]),
    });
  }, patience);
  await redis.restart();
  await sending;
  await expectAllDone(fleet, app, sweeper);
});

test('Postgres has no room left, and then has (raised by a trigger, with the SQLSTATE of a full disk)', async ({
  app,
  fleet,
}) => {
  const { sql } = fleet;
  const { sweeper, sending } = await startWork(fleet, app);
  await midway(fleet, app);
  await sql(`create or replace function disk_full() returns trigger language plpgsql as
    $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`);
  for (const table of ['batch_jobs', 'feedback_tuples', 'device_changes']) {
    await sql(`create trigger disk_full before insert on ${table} execute function disk_full()`);
  }
  await sending;
  await vi.waitFor(async () => {
    const ready = await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`);
    expect(await ready.json()).toMatchObject({
      reasons: expect.arrayContaining([expect.stringMatching(/outcome reports: .*No space left/)]),
    });
  }, patience);
  for (const table of ['batch_jobs', 'feedback_tuples', 'device_changes'])
    await sql(`drop trigger disk_full on ${table}`);
  await expectAllDone(fleet, app, sweeper);
});

test('a sweeper is killed, and another one goes on', async ({ app, fleet }) => {
  // Slowly: there is more to read when it is killed.
  const { sweeper: killed, sending } = await startWork(fleet, app, { everyMs: 300 });
  await midway(fleet, app);
  await killed.kill();
  await sending;
  const sweeper = await fleet.sweeper();
  const isDone = async () => {
    const [state] = await fleet.sql(
      `select count(*)::integer as stored, (select sum(applied)::integer from feedback_readings where app = $1) as applied,
         (select count(*)::integer from devices where app = $1 and not active) as inactive,
         (select count(*)::integer from feedback_readings where app = $1 and ended_at is null) as open
       from feedback_tuples where reading in (select id from feedback_readings where app = $1)`,
      [app],
    );
    expect(state!.open).toBe(0);
    expect(state!.applied).toBe(state!.stored);
    expect(state!.inactive).toBe(state!.stored);
  };
  await vi.waitFor(isDone, patience);
  expect(await fleet.sql('select result from feedback_readings where app = $1', [app])).toEqual([
    { result: 'interrupted' },
  ]);
  // What the killed one had taken and not applied is taken over after a minute; all others are applied by now.
  const [left] = await fleet.sql('select count(*)::integer as n from batches where app = $1', [app]);
  expect(left!.n).toBeGreaterThan(reportCount - 20);
  expect(await sweeper.stop()).toMatchObject({ code: 0 });
});

test('a sweeper that is told to stop while it reads stores what it has read', async ({ app, fleet }) => {
  const { sweeper, sending } = await startWork(fleet, app, { everyMs: 300 });
  await midway(fleet, app);
  expect(await sweeper.stop()).toMatchObject({ code: 0 });
  await sending;
  const [reading] = await fleet.sql('select result, tuples from feedback_readings where app = $1', [app]);
  expect(reading).toMatchObject({ result: 'stopped' });
  expect(reading!.tuples).toBeGreaterThan(0);
});

test('a sweeper that Postgres does not let in says so, and goes on by itself when it does', async ({
  app,
  fleet,
}) => {
  const role = `role_${randomUUID().slice(0, 8)}`;
  await fleet.sql(`create role ${role} nologin superuser password 'x'`);
  const url = new URL(postgres.url);
  url.username = role;
  url.password = 'x';
  const adminPort = await findFreePort();
  const starting = fleet.sweeper({
    databaseUrl: url.href,
    env: { PUSHFLEET_ADMIN_PORT: String(adminPort) },
  });
  starting.catch(() => undefined);
  const readiness = async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).text();
  await vi.waitFor(async () => expect(await readiness()).toContain('not permitted to log in'), patience);
  const one = reportOf(app);
  await fleet.report(one);
  // Longer than a start has patience for anything else.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
  expect(await readiness()).toContain('not permitted to log in');
  await fleet.sql(`alter role ${role} login`);
  const sweeper = await starting;
  await vi.waitFor(async () => expect(await fleet.store.batches.find(one.batch)).toBeDefined(), patience);
  // And once more while it runs: connections are cut, and new ones are refused.
  await fleet.sql(`alter role ${role} nologin`);
  await fleet.sql('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
  const other = reportOf(app);
  await fleet.report(other);
  await vi.waitFor(async () => expect(await readiness()).toContain('not permitted to log in'), patience);
  await fleet.sql(`alter role ${role} login`);
  await vi.waitFor(async () => expect(await fleet.store.batches.find(other.batch)).toBeDefined(), patience);
  expect(await sweeper.stop()).toMatchObject({ code: 0 });
}, 120_000);
