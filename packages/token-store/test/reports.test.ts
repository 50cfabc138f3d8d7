import { randomUUID } from 'node:crypto';
import type { OutcomeException, OutcomeReport } from '@pushfleet/push-queue/report';
import { expect, test, vi } from 'vitest';
import type { DeviceToken } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();
const hourAgoMs = Date.now() - 3_600_000;

function settled(change: Partial<OutcomeReport> = {}): OutcomeReport {
  const count = change.count ?? 10;
  const exceptions = change.exceptions ?? [];
  return {
    v: 1,
    job: 'any',
    app: 'shop',
    lane: 'bulk',
    batch: randomUUID(),
    batchSize: count,
    firstIndex: 1,
    count,
    enqueuedAtMs: hourAgoMs,
    settledAtMs: Date.now(),
    accepted: { proved: 0, presumed: count - exceptions.length },
    exceptions,
    resentUncertain: 0,
    ...change,
  };
}

const exception = (index: number, change: Partial<OutcomeException> = {}): OutcomeException => ({
  index,
  token: newToken(),
  outcome: 'rejected',
  reason: 'invalid-token',
  status: 8,
  atMs: Date.now(),
  ...change,
});

const eventsOf = (app: string) =>
  context.sql('select kind, payload from events where app = $1 order by id', [app]);

test('reports of a batch add up, and the last one finishes it', async () => {
  const { batches, reports } = context.store;
  const [app, batch] = [newApp(), randomUUID()];
  const first = settled({
    app,
    batch,
    batchSize: 25,
    accepted: { proved: 3, presumed: 4 },
    exceptions: [
      exception(2),
      exception(5, { outcome: 'dead', reason: 'uncertain' }),
      exception(9, { outcome: 'expired', reason: 'expired' }),
    ],
    resentUncertain: 2,
  });
  expect(await reports.apply([first])).toMatchObject({ applied: 1, repeated: 0, finishedBatches: 0 });
  expect(await batches.find(batch)).toMatchObject({
    app,
    lane: 'bulk',
    size: 25,
    acceptedProved: 3,
    acceptedPresumed: 4,
    rejected: 1,
    dead: 1,
    expired: 1,
    cancelled: 0,
    resentUncertain: 2,
    finishedAt: null,
  });
  const rest = [
    settled({ app, batch, batchSize: 25, firstIndex: 21, count: 5 }),
    settled({ app, batch, batchSize: 25, firstIndex: 11 }),
  ];
  expect(await reports.apply(rest)).toMatchObject({ applied: 2, finishedBatches: 1 });
  expect(await batches.find(batch)).toMatchObject({ acceptedPresumed: 19, finishedAt: expect.any(Date) });
  expect(
    (await batches.exceptions(batch)).map(({ index, outcome, reason }) => [index, outcome, reason]),
  ).toEqual([
    [2, 'rejected', 'invalid-token'],
    [5, 'dead', 'uncertain'],
    [9, 'expired', 'expired'],
  ]);
  expect(await batches.exceptions(batch, { after: 2, limit: 1 })).toMatchObject([{ index: 5 }]);
  expect(await eventsOf(app)).toMatchObject([
    {
      kind: 'notifications.rejected',
      payload: {
        batch,
        notifications: [
          {
            index: 2,
            notificationId: `${batch.slice(0, 28)}00000002`,
            status: 8,
            reason: 'invalid-token',
          },
        ],
      },
    },
    { kind: 'batch.finished', payload: { batch, size: 25, acceptedPresumed: 19, rejected: 1 } },
  ]);
});

test('a report that is delivered again changes nothing, alone or among others', async () => {
  const { batches, reports } = context.store;
  const app = newApp();
  const one = settled({ app, exceptions: [exception(1)] });
  const two = settled({ app, exceptions: [exception(1)] });
  await reports.apply([one]);
  const before = await batches.find(one.batch);
  expect(await reports.apply([one, two, two, one])).toMatchObject({ applied: 1, repeated: 3 });
  expect(await batches.find(one.batch)).toEqual(before);
  expect(await batches.find(two.batch)).toMatchObject({ acceptedPresumed: 9, rejected: 1 });
  expect(await batches.exceptions(two.batch)).toHaveLength(1);
  expect(await eventsOf(app)).toHaveLength(4);
});

test('sweepers that apply the same reports at once apply each once', async () => {
  const { batches, reports } = context.store;
  const [app, batch] = [newApp(), randomUUID()];
  const jobs = Array.from({ length: 40 }, (_, place) =>
    settled({
      app,
      batch,
      batchSize: 400,
      firstIndex: place * 10 + 1,
      exceptions: [exception(place * 10 + 1)],
    }),
  );
  const results = await Promise.all([
    reports.apply(jobs),
    reports.apply(jobs.toReversed()),
    ...jobs.map((job) => reports.apply([job])),
  ]);
  expect(results.reduce((sum, { applied }) => sum + applied, 0)).toBe(40);
  expect(results.reduce((sum, { finishedBatches }) => sum + finishedBatches, 0)).toBe(1);
  expect(await batches.find(batch)).toMatchObject({ acceptedPresumed: 360, rejected: 40 });
});

test('the state of one notification is computed from the exceptions', async () => {
  const { batches, reports } = context.store;
  const [app, batch] = [newApp(), randomUUID()];
  expect(await batches.notification(app, batch, 1)).toBeUndefined();
  await reports.apply([
    settled({ app, batch, batchSize: 30, exceptions: [exception(3)] }),
    settled({ app, batch, batchSize: 30, firstIndex: 11, accepted: { proved: 10, presumed: 0 } }),
  ]);
  expect(await batches.notification(app, batch, 1)).toMatchObject({
    outcome: 'accepted',
    certainty: 'presumed',
  });
  expect(await batches.notification(app, batch, 11)).toMatchObject({
    outcome: 'accepted',
    certainty: 'proved',
  });
  expect(await batches.notification(app, batch, 3)).toMatchObject({
    outcome: 'rejected',
    exception: { status: 8 },
  });
  expect(await batches.notification(app, batch, 21)).toMatchObject({ outcome: 'queued' });
});

test('status 8 deactivates a device that was registered before the enqueueing, and keeps one that came back', async () => {
  const { devices, reports } = context.store;
  const app = newApp();
  const [gone, back] = [newToken(), newToken()];
  await devices.register(app, { token: gone, userId: 'ann', registeredAt: new Date(hourAgoMs - 1) });
  await devices.register(app, { token: back, registeredAt: new Date(hourAgoMs) });
  const elsewhere = newApp();
  await devices.register(elsewhere, { token: gone, registeredAt: new Date(hourAgoMs - 1) });
  const job = settled({
    app,
    exceptions: [
      exception(1, { token: gone, tokenInvalid: true }),
      exception(2, { token: back, tokenInvalid: true }),
      exception(3, { tokenInvalid: true }),
    ],
  });
  const result = await reports.apply([job]);
  expect(result.deactivated).toEqual([{ app, source: 'invalid-token', count: 1 }]);
  expect(await devices.get(app, gone)).toMatchObject({
    active: false,
    deactivation: { source: 'invalid-token', status: 8, evidenceAt: new Date(hourAgoMs) },
  });
  expect(await devices.get(app, back)).toMatchObject({ active: true });
  // An app is one environment: another one's device with this token is not meant.
  expect(await devices.get(elsewhere, gone)).toMatchObject({ active: true });
  expect((await devices.history(app, gone))[0]).toMatchObject({
    kind: 'deactivated',
    source: 'invalid-token',
    status: 8,
  });
  expect((await eventsOf(app)).at(-1)).toMatchObject({
    kind: 'devices.deactivated',
    payload: { source: 'invalid-token', status: 8, devices: [{ token: gone, userId: 'ann' }] },
  });
  // Again active with the next registration, and not deactivated by the same evidence once more.
  expect(await devices.register(app, { token: gone })).toMatchObject({ reactivated: true });
  await reports.apply([{ ...job, batch: randomUUID() }]);
  expect(await devices.get(app, gone)).toMatchObject({ active: true });
});

test('a 410 counts from the millisecond that it names', async () => {
  const { devices, reports } = context.store;
  const app = newApp();
  const unregisteredAtMs = hourAgoMs - 1_000;
  const tokens = [-1, 0, 1].map((distance) => ({
    token: newToken(),
    registeredAt: new Date(unregisteredAtMs + distance),
  }));
  await devices.registerMany(app, tokens);
  const exceptions = tokens.map(({ token }, place) =>
    exception(place + 1, {
      token,
      status: 410,
      reason: 'Unregistered',
      tokenInvalid: true,
      unregisteredAtMs,
    }),
  );
  await reports.apply([settled({ app, exceptions })]);
  const active = await Promise.all(tokens.map(async ({ token }) => (await devices.get(app, token))!.active));
  expect(active).toEqual([false, true, true]);
});

test('while invalid tokens of an app are not to be believed, they are stored and devices stay', async () => {
  const { batches, devices, reports } = context.store;
  const app = newApp();
  const [doubtful, gone] = [newToken(), newToken()];
  await devices.registerMany(
    app,
    [doubtful, gone].map((token) => ({ token, registeredAt: new Date(hourAgoMs - 10_000) })),
  );
  const job = settled({
    app,
    exceptions: [
      exception(1, { token: doubtful, tokenInvalid: true }),
      exception(2, { token: gone, status: 410, tokenInvalid: true, unregisteredAtMs: hourAgoMs }),
    ],
  });
  await reports.apply([job], { appsInDoubt: new Set([app]) });
  expect(await devices.get(app, doubtful)).toMatchObject({ active: true });
  expect(await devices.get(app, gone)).toMatchObject({
    active: false,
    deactivation: { source: 'unregistered' },
  });
  expect(await batches.exceptions(job.batch)).toHaveLength(2);
});

test('text that Postgres has no place for is stored without it', async () => {
  const { batches, reports } = context.store;
  const app = newApp();
  const job = settled({ app, exceptions: [exception(1, { reason: 'Bad\0Reason \ud800' })] });
  await reports.apply([job]);
  expect(await batches.exceptions(job.batch)).toMatchObject([{ reason: 'Bad�Reason �' }]);
  await reports.setAside([{ app, entry: '1-1', report: '{"\0', error: 'no JSON' }]);
  await reports.setAside([{ app, entry: '1-1', report: '{"\0', error: 'no JSON' }]);
  expect(await context.sql('select entry from unreadable_reports where app = $1', [app])).toHaveLength(1);
});

test('an event whose text Postgres has no place for is told without it', async () => {
  const app = newApp();
  const event = {
    app,
    kind: 'app.paused' as const,
    payload: { reason: 'a\0b \udfff', sinceMs: 5 },
    key: app,
  };
  expect(await context.store.events.writeOnce(event)).toBe(true);
  expect(await context.store.events.writeOnce(event)).toBe(false);
  expect(await eventsOf(app)).toEqual([{ kind: 'app.paused', payload: { reason: 'a�b �', sinceMs: 5 } }]);
});

test('a report that Postgres does not take undoes its whole chunk, and is no transient failure', async () => {
  const { batches, reports } = context.store;
  const app = newApp();
  const good = settled({ app });
  const bad = settled({ app, batch: 'no uuid' });
  await expect(reports.apply([good, bad])).rejects.toMatchObject({
    code: 'query-failed',
    isTransient: false,
  });
  expect(await batches.find(good.batch)).toBeUndefined();
});

test('a deadlock with somebody else is resolved by doing it again', async () => {
  const { devices, reports, database } = context.store;
  const app = newApp();
  const [first, second] = [newToken(), newToken()].toSorted() as [DeviceToken, DeviceToken];
  await devices.registerMany(
    app,
    [first, second].map((token) => ({ token, registeredAt: new Date(0) })),
  );
  const job = settled({
    app,
    exceptions: [
      exception(1, { token: first, tokenInvalid: true }),
      exception(2, { token: second, tokenInvalid: true }),
    ],
  });
  const waits = () =>
    context.sql(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    );
  const touch = 'update devices set locale = $3 where app = $1 and token = decode($2, $4)';
  let applying: ReturnType<typeof reports.apply>;
  await database.transaction(async (client) => {
    // Ours is the one that finds out, after a second, and is told to give way.
    await client.query(`set local deadlock_timeout = '1min'`);
    await client.query(touch, [app, second, 'de', 'hex']);
    applying = reports.apply([job]);
    await vi.waitFor(async () => expect(await waits()).toHaveLength(1), 10_000);
    await client.query(touch, [app, first, 'de', 'hex']);
  });
  expect(await applying!).toMatchObject({
    applied: 1,
    deactivated: [{ app, source: 'invalid-token', count: 2 }],
  });
  expect(await context.sql('select rejected from batches where id = $1', [job.batch])).toEqual([
    { rejected: 2 },
  ]);
  const [deadlocks] = await context.sql(
    'select deadlocks::integer as n from pg_stat_database where datname = current_database()',
  );
  expect(deadlocks!.n).toBeGreaterThan(0);
});
