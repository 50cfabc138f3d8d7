import { pauseApp } from '@pushfleet/push-queue';
import { runProcess } from '@pushfleet/testkit';
import { expect, vi } from 'vitest';
import { invalidToken, metric, newToken, nowSeconds, reportOf, test } from './sweeper-test.ts';

const entry = new URL('../src/main.ts', import.meta.url);
const patience = { timeout: 20_000, interval: 50 };

test('outcome reports and feedback come to the device table', async ({ fleet }) => {
  const { store, simulator } = fleet;
  const hourAgo = nowSeconds() - 3_600;
  const [invalid, gone, back] = [newToken(), newToken(), newToken()];
  await store.devices.registerMany('shop', [
    { token: invalid, registeredAt: new Date((hourAgo - 1) * 1000) },
    { token: gone, registeredAt: new Date((hourAgo - 1) * 1000) },
    { token: back },
  ]);
  await simulator.control.feedback([gone, back, newToken()].map((token) => ({ token, time: hourAgo })));
  const sweeper = await fleet.sweeper();
  const report = reportOf('shop', { exceptions: [invalidToken(3, invalid)] });
  await fleet.report(report);
  await fleet.report(report);

  await vi.waitFor(async () => {
    expect(await store.devices.get('shop', gone)).toMatchObject({ active: false });
    expect(await store.batches.find(report.batch)).toMatchObject({ acceptedPresumed: 9, rejected: 1 });
  }, patience);
  expect(await store.devices.get('shop', invalid)).toMatchObject({
    active: false,
    deactivation: { source: 'invalid-token', status: 8 },
  });
  expect(await store.devices.get('shop', back)).toMatchObject({ active: true });
  expect((await store.batches.find(report.batch))!.finishedAt).not.toBeNull();
  await vi.waitFor(async () => {
    expect(await metric(sweeper, 'pushfleet_outcome_backlog_reports{app="shop"}')).toBe(0);
  }, patience);
  expect(await metric(sweeper, 'pushfleet_reports_applied_total{app="shop"}')).toBe(1);
  expect(await metric(sweeper, 'pushfleet_feedback_readings_total{app="shop",result="complete"}')).toBe(1);
  for (const result of ['deactivated', 'kept', 'unknown']) {
    expect(await metric(sweeper, `pushfleet_feedback_tuples_total{app="shop",result="${result}"}`)).toBe(1);
  }
  expect(await metric(sweeper, 'pushfleet_device_deactivations_total{app="shop",source="feedback"}')).toBe(1);
  expect(
    await metric(sweeper, 'pushfleet_device_deactivations_total{app="shop",source="invalid-token"}'),
  ).toBe(1);
  const ready = await fetch(`http://127.0.0.1:${sweeper.adminPort}/readyz`);
  expect(await ready.json()).toMatchObject({ status: 'ok' });
  expect(await sweeper.stop()).toMatchObject({ code: 0 });
});

test('sweepers share the work: each report takes effect once, and feedback is read by one', async ({
  fleet,
}) => {
  const { store, simulator } = fleet;
  const tokens = Array.from({ length: 300 }, newToken);
  await store.devices.registerMany(
    'shop',
    tokens.map((token) => ({ token, registeredAt: new Date(0) })),
  );
  await simulator.control.feedback(tokens.map((token) => ({ token, time: nowSeconds() - 60 })));
  await simulator.control.faults({
    rules: [{ on: 'feedback', action: { kind: 'slice', bytes: 38 * 20, everyMs: 40 } }],
  });
  const sweepers = await Promise.all([fleet.sweeper(), fleet.sweeper(), fleet.sweeper()]);
  const reports = Array.from({ length: 150 }, () => reportOf('shop'));
  await Promise.all([...reports, ...reports.slice(0, 50)].map((report) => fleet.report(report)));
  await vi.waitFor(async () => {
    expect(
      await fleet.sql('select count(*)::integer as n, sum(accepted_presumed)::integer as sum from batches'),
    ).toEqual([{ n: 150, sum: 1_500 }]);
    expect(await fleet.sql('select result, applied, deactivated from feedback_readings')).toEqual([
      { result: 'complete', applied: 300, deactivated: 300 },
    ]);
  }, patience);
  const counted = await Promise.all(
    sweepers.map(async (sweeper) => [
      await metric(sweeper, 'pushfleet_reports_applied_total{app="shop"}'),
      await metric(sweeper, 'pushfleet_device_deactivations_total{app="shop",source="feedback"}'),
    ]),
  );
  const sum = (column: number) => counted.reduce((total, values) => total + values[column]!, 0);
  expect([sum(0), sum(1)]).toEqual([150, 300]);
});

test('one run for cron reads, applies and exits', async ({ fleet }) => {
  const { store, simulator, environment } = fleet;
  const token = newToken();
  const hourAgo = nowSeconds() - 3_600;
  await store.devices.register('shop', { token, registeredAt: new Date(0) });
  await simulator.control.feedback([{ token, time: hourAgo }]);
  const report = reportOf('shop');
  await fleet.report(report);
  const run = () =>
    runProcess({
      entry,
      args: ['--once'],
      env: {
        REDIS_URL: environment.redisUrl,
        DATABASE_URL: environment.databaseUrl,
        PUSHFLEET_REDIS_PREFIX: environment.redisPrefix,
        PUSHFLEET_CONFIG: environment.configPath,
      },
    });
  expect(await run()).toMatchObject({ code: 0 });
  expect(await store.devices.get('shop', token)).toMatchObject({ active: false });
  expect(await store.batches.find(report.batch)).toMatchObject({ acceptedPresumed: 10 });
  await simulator.control.faults({ rules: [{ on: 'feedback', action: { kind: 'refuse' } }] });
  const failed = await run();
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stdout).toMatch(/feedback service was not read to its end/);
  expect(await store.feedback.lastReadings(['shop'])).toMatchObject([{ result: 'failed', failures: 1 }]);
});

test('what is no report is set aside and holds nothing up; a report that Postgres does not take likewise', async ({
  fleet,
}) => {
  const { store } = fleet;
  const good = [reportOf('shop'), reportOf('shop')];
  await fleet.report(good[0]!);
  await fleet.report({ ...reportOf('shop'), count: 0 });
  // Twice the largest integer that the column takes.
  await fleet.report(reportOf('shop', { resentUncertain: 4_294_967_294 }));
  await fleet.report(good[1]!);
  const sweeper = await fleet.sweeper();
  await vi.waitFor(async () => {
    for (const { batch } of good) expect(await store.batches.find(batch)).toBeDefined();
    expect(await fleet.sql('select error from unreadable_reports order by id')).toMatchObject([
      { error: expect.stringContaining('count') },
      { error: expect.stringContaining('does not take the data') },
    ]);
    expect(await metric(sweeper, 'pushfleet_outcome_backlog_reports{app="shop"}')).toBe(0);
  }, patience);
  expect(await metric(sweeper, 'pushfleet_reports_set_aside_total{app="shop"}')).toBe(2);
  // A version that could not apply this one set it aside; this one can.
  const late = reportOf('shop');
  await store.reports.setAside([
    { app: 'shop', entry: '1-1', report: JSON.stringify(late), error: 'of an older version' },
  ]);
  await fleet.sweeper();
  expect(await store.batches.find(late.batch)).toMatchObject({ acceptedPresumed: 10 });
  expect(await fleet.sql('select count(*)::integer as n from unreadable_reports')).toEqual([{ n: 2 }]);
});

test('while the circuit breaker holds an app, its invalid tokens stay', async ({ fleet }) => {
  const { store, redis, environment } = fleet;
  const token = newToken();
  await store.devices.register('shop', { token, registeredAt: new Date(0) });
  const control = { redis, prefix: environment.redisPrefix };
  await pauseApp(control, 'shop', { cause: 'invalid-tokens', reason: 'every second one', sinceMs: 5 });
  const report = reportOf('shop', { exceptions: [invalidToken(1, token)] });
  await fleet.report(report);
  const sweeper = await fleet.sweeper();
  await vi.waitFor(async () => {
    expect(await store.batches.find(report.batch)).toMatchObject({ rejected: 1 });
    expect(await metric(sweeper, 'pushfleet_app_paused{app="shop",cause="invalid-tokens"}')).toBe(1);
    expect(await fleet.sql(`select kind, payload from events where kind = 'app.paused'`)).toEqual([
      { kind: 'app.paused', payload: { cause: 'invalid-tokens', reason: 'every second one', sinceMs: 5 } },
    ]);
  }, patience);
  expect(await store.devices.get('shop', token)).toMatchObject({ active: true });
});

test('a start without Postgres, without Redis, or with a wrong argument says what is wrong', async ({
  fleet,
}) => {
  const { environment } = fleet;
  const env = {
    REDIS_URL: environment.redisUrl,
    DATABASE_URL: environment.databaseUrl,
    PUSHFLEET_REDIS_PREFIX: environment.redisPrefix,
    PUSHFLEET_CONFIG: environment.configPath,
    PUSHFLEET_ADMIN_PORT: '0',
  };
  const [noPostgres, noRedis, wrong] = await Promise.all([
    // What is no run for cron waits for Postgres (faults.test.ts).
    runProcess({
      entry,
      args: ['--once'],
      env: { ...env, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    }),
    runProcess({ entry, env: { ...env, REDIS_URL: 'redis://127.0.0.1:1' } }),
    runProcess({ entry, args: ['--twice'], env }),
  ]);
  expect(noPostgres).toMatchObject({ code: 1, stderr: expect.stringMatching(/Postgres.*ECONNREFUSED/) });
  expect(noRedis).toMatchObject({ code: 1, stderr: expect.stringMatching(/Redis cannot be reached/) });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/--twice[\s\S]*Usage/) });
});
