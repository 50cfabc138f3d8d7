import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { defaultRetention, type RetentionOptions } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();
const dayMs = 86_400_000;
const nowMs = Date.now();

const daysAgo = (days: number) => new Date(nowMs - days * dayMs);
const batchFrom = (days: number, last = '0') =>
  `${(nowMs - days * dayMs)
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})/, '$1-')}-7000-8000-${last.padStart(12, '0')}`;

async function run(options: Partial<RetentionOptions> = {}): Promise<Record<string, number>> {
  const removed: Record<string, number> = {};
  await context.store.retention.run({
    policy: defaultRetention,
    signal: new AbortController().signal,
    onRemoved: (table, rows) => {
      removed[table] = (removed[table] ?? 0) + rows;
    },
    nowMs,
    ...options,
  });
  return removed;
}

test('old batches go with their push jobs and exceptions, in chunks; newer ones stay', async () => {
  const { batches, reports } = context.store;
  const app = newApp();
  const old = Array.from({ length: 25 }, (_, place) => batchFrom(91, String(place)));
  const kept = [batchFrom(89), batchFrom(1)];
  await reports.apply(
    [...old, ...kept].map((batch) => ({
      v: 1 as const,
      job: 'any',
      app,
      lane: 'bulk',
      batch,
      batchSize: 5,
      firstIndex: 1,
      count: 5,
      enqueuedAtMs: nowMs,
      settledAtMs: nowMs,
      accepted: { proved: 4, presumed: 0 },
      resentUncertain: 0,
      exceptions: [
        { index: 1, token: newToken(), outcome: 'dead' as const, reason: 'uncertain', atMs: nowMs },
      ],
    })),
  );
  expect(await run({ chunkRows: 10 })).toEqual({ batches: 25, batch_jobs: 25, exceptions: 25 });
  expect(await batches.find(old[0]!)).toBeUndefined();
  for (const batch of kept) expect(await batches.exceptions(batch)).toHaveLength(1);
  // The sums of the app outlive its batches.
  expect(
    await context.sql('select accepted_proved::integer as n from app_totals where app = $1', [app]),
  ).toEqual([{ n: 108 }]);
  expect(await context.store.accounting.inconsistentBatches()).toEqual([]);
});

test('a policy that would forget batches which are still to be sent is not followed', async () => {
  const { batches, reports } = context.store;
  const [app, batch] = [newApp(), batchFrom(34)];
  await reports.apply([
    {
      v: 1,
      job: 'any',
      app,
      lane: 'bulk',
      batch,
      batchSize: 2,
      firstIndex: 1,
      count: 1,
      enqueuedAtMs: nowMs,
      settledAtMs: nowMs,
      accepted: { proved: 1, presumed: 0 },
      resentUncertain: 0,
      exceptions: [],
    },
  ]);
  await run({ policy: { ...defaultRetention, batchesMs: dayMs } });
  expect(await batches.find(batch)).toBeDefined();
});

test('old readings go with their tuples, but for what is not applied and the last one of each app', async () => {
  const { feedback } = context.store;
  const app = newApp();
  for (let place = 0; place < 3; place++) {
    const reading = (await feedback.openReading(app))!;
    await reading.append([{ timestamp: 1, token: Buffer.from(newToken(), 'hex') }]);
    await reading.finish({ result: 'complete' });
    await reading.close();
  }
  await context.sql(`update feedback_readings set started_at = $1, ended_at = $1 where app = $2`, [
    daysAgo(91),
    app,
  ]);
  expect(await run()).toEqual({});
  while ((await feedback.applyNextChunk()) !== undefined);
  expect(await run()).toEqual({ feedback_tuples: 3, feedback_readings: 2 });
  expect(await feedback.lastReadings([app])).toHaveLength(1);
});

test('old events, lines of history and devices that are long gone go, block by block', async () => {
  const { devices } = context.store;
  const app = newApp();
  const tokens = Array.from({ length: 3_000 }, newToken);
  await devices.registerMany(
    app,
    tokens.map((token) => ({ token })),
  );
  await context.sql(`update device_changes set at = $1 where app = $2`, [daysAgo(401), app]);
  await context.sql(
    `update devices set active = false, deactivated_at = $1, deactivated_source = 'feedback', evidence_at = $1
     where app = $2 and token >= '\\x80'`,
    [daysAgo(401), app],
  );
  await context.sql(
    `insert into events (app, kind, payload, created_at) values ($1, 'x', '{}', $2), ($1, 'y', '{}', now())`,
    [app, daysAgo(31)],
  );
  const gone = tokens.filter((token) => token >= '8');
  expect(await run()).toEqual({ events: 1, device_changes: 3_000, devices: gone.length });
  expect((await devices.history(app, gone[0]!)).map(({ kind }) => kind)).toEqual(['removed']);
  expect(await context.sql(`select count(*)::integer as n from devices where app = $1`, [app])).toEqual([
    { n: 3_000 - gone.length },
  ]);
});

test('old broadcasts and uploads go with what belongs to them, and so do old deliveries', async () => {
  const app = newApp();
  for (const days of [91, 1]) {
    const [{ id }] = (await context.sql(
      `insert into broadcasts (id, app, lane, delivery, audience, start_at, finished_at)
       values (gen_random_uuid(), $1, 'bulk', '{}', '{}', $2, $2) returning id`,
      [app, daysAgo(days)],
    )) as [{ id: string }];
    await context.sql(
      'insert into broadcast_chunks values ($1, 1, gen_random_uuid(), 5), ($1, 2, gen_random_uuid(), 5)',
      [id],
    );
    const [upload] = await context.sql(
      'insert into uploads (id, app, created_at, users) values (gen_random_uuid(), $1, $2, 2) returning id',
      [app, daysAgo(days)],
    );
    await context.sql(`insert into upload_users values ($1, 'ann'), ($1, 'ben')`, [upload!.id]);
    const [webhook] = await context.sql(
      `insert into webhooks (id, app, url, secret) values (gen_random_uuid(), $1, 'x', '') returning id`,
      [app],
    );
    await context.sql(
      `insert into webhook_deliveries (webhook, event, kind, payload, occurred_at, settled_at)
       values ($1, 1, 'x', '{}', $2, $2), ($1, 2, 'x', '{}', $2, null)`,
      [webhook!.id, daysAgo(days)],
    );
  }
  expect(await run()).toEqual({
    broadcasts: 1,
    broadcast_chunks: 2,
    uploads: 1,
    upload_users: 2,
    webhook_deliveries: 1,
  });
});

test('it stops between two chunks when it has to', async () => {
  expect(await run({ signal: AbortSignal.abort() })).toEqual({});
});

test('one process of the fleet does it, once per interval', async () => {
  const { retention } = context.store;
  const claims = await Promise.all(Array.from({ length: 5 }, () => retention.claim(dayMs)));
  expect(claims.filter(Boolean)).toHaveLength(1);
  expect(await retention.claim(0)).toBe(true);
  expect(await retention.claim(dayMs)).toBe(false);
});

const newUpload = async (app: string, days: number, complete = true): Promise<string> => {
  const [upload] = await context.sql(
    'insert into uploads (id, app, created_at, users, complete) values (gen_random_uuid(), $1, $2, 2, $3) returning id',
    [app, daysAgo(days), complete],
  );
  await context.sql(`insert into upload_users values ($1, 'ann'), ($1, 'ben')`, [upload!.id]);
  return upload!.id as string;
};

test('users of a list whose upload was never finished go after a day, and nobody can send to them', async () => {
  const app = newApp();
  const [dead, live] = [await newUpload(app, 2, false), await newUpload(app, 0, false)];
  expect(await run({ chunkRows: 1 })).toEqual({ uploads: 1, upload_users: 2 });
  expect(
    await context.sql('select distinct upload from upload_users where upload = any($1)', [[dead, live]]),
  ).toEqual([{ upload: live }]);
  for (const upload of [dead, live]) expect(await context.store.uploads.exists(upload, app)).toBe(false);
  await context.sql('delete from uploads where id = $1', [live]);
  await context.sql('delete from upload_users where upload = $1', [live]);
});

test('a list stays as long as a broadcast is to go to it', async () => {
  const app = newApp();
  const upload = await newUpload(app, 91);
  await context.sql(
    `insert into broadcasts (id, app, lane, delivery, audience, start_at)
     values (gen_random_uuid(), $1, 'bulk', '{}', jsonb_build_object('upload', $2::text), now())`,
    [app, upload],
  );
  expect(await run()).toEqual({});
  await context.sql(`update broadcasts set state = 'cancelled', finished_at = now() where app = $1`, [app]);
  expect(await run()).toEqual({ uploads: 1, upload_users: 2 });
});

test('a list that could not be read is not there, nor are its users', async () => {
  const app = newApp();
  const { uploads } = context.store;
  const failing = async function* () {
    yield ['ann'];
    throw new Error('the line broke');
  };
  const id = randomUUID();
  await expect(uploads.create(id, app, failing())).rejects.toThrow('the line broke');
  expect(await context.sql('select from upload_users where upload = $1', [id])).toEqual([]);
  expect(await context.sql('select from uploads where id = $1', [id])).toEqual([]);
});

test('what was told once is forgotten with the history of devices', async () => {
  await context.sql(`insert into told_once values ('old', $1), ('new', $2)`, [daysAgo(401), daysAgo(399)]);
  expect(await run()).toEqual({ told_once: 1 });
});

test('a scheduled send goes with the batches of its time, once it has gone out', async () => {
  const { scheduledSends } = context.store;
  const app = newApp();
  const [gone, waiting, newer] = [batchFrom(91), batchFrom(91, '1'), batchFrom(89)];
  for (const id of [gone, waiting, newer])
    await scheduledSends.create(
      { id, app, lane: 'bulk', size: 1, sendAt: new Date(nowMs), call: {} },
      { notifications: 1e6, bytes: 1e6 },
    );
  for (const id of [gone, newer])
    expect(await scheduledSends.end(id, 'waiting', { state: 'enqueued' })).toBe(true);
  expect(await scheduledSends.end(gone, 'waiting', { state: 'enqueued' })).toBe(false);
  expect(await run()).toEqual({ scheduled_sends: 1 });
  expect(await scheduledSends.get(waiting)).toMatchObject({ state: 'waiting' });
  expect(await scheduledSends.get(newer)).toMatchObject({ state: 'enqueued', call: null });
});
