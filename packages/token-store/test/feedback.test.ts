import { expect, test, vi } from 'vitest';
import type { AppliedChunk, FeedbackTuple } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();
const now = Math.floor(Date.now() / 1000);
const hourAgo = now - 3_600;

const tuple = (token: string, timestamp: number): FeedbackTuple => ({
  timestamp,
  token: Buffer.from(token, 'hex'),
});
const randomTuples = (count: number) => Array.from({ length: count }, () => tuple(newToken(), hourAgo));

async function store(app: string, tuples: readonly FeedbackTuple[], chunkSize = 1_000): Promise<string> {
  const reading = (await context.store.feedback.openReading(app))!;
  for (let from = 0; from < tuples.length; from += chunkSize)
    await reading.append(tuples.slice(from, from + chunkSize));
  await reading.finish({ result: 'complete' });
  await reading.close();
  return reading.id;
}

async function applyAll(): Promise<AppliedChunk[]> {
  const chunks: AppliedChunk[] = [];
  for (;;) {
    const chunk = await context.store.feedback.applyNextChunk();
    if (chunk === undefined) return chunks;
    chunks.push(chunk);
  }
}

const sessionsOf = (app: string) =>
  context.sql('select pid from pg_stat_activity where application_name = $1', [`pushfleet-feedback ${app}`]);

test('tuples are weighed against the last registration, in whole seconds', async () => {
  const { devices } = context.store;
  const app = newApp();
  const registrations = {
    older: new Date((hourAgo - 1) * 1000),
    equal: new Date(hourAgo * 1000),
    later: new Date(hourAgo * 1000 + 1),
    sameSecond: new Date(hourAgo * 1000 + 999),
  };
  const tokens = Object.fromEntries(Object.keys(registrations).map((name) => [name, newToken()]));
  await devices.registerMany(
    app,
    Object.entries(registrations).map(([name, registeredAt]) => ({
      token: tokens[name]!,
      registeredAt,
      userId: name,
    })),
  );
  await store(app, [
    ...Object.values(tokens).map((token) => tuple(token, hourAgo)),
    tuple(newToken(), hourAgo),
    tuple(tokens.older!, hourAgo - 100),
    tuple(tokens.equal!, 5),
    tuple(tokens.equal!, now + 86_400),
    { timestamp: hourAgo, token: new Uint8Array(0) },
  ]);
  expect(await applyAll()).toMatchObject([
    { app, counts: { deactivated: 1, kept: 3, unknown: 2, inactive: 0, absurd: 2, repeated: 1 } },
  ]);
  const active = await Promise.all(
    Object.values(tokens).map(async (token) => (await devices.get(app, token))!.active),
  );
  expect(active).toEqual([false, true, true, true]);
  expect(await devices.get(app, tokens.older!)).toMatchObject({
    deactivation: { source: 'feedback', status: null, evidenceAt: new Date(hourAgo * 1000) },
  });
  expect((await devices.history(app, tokens.older!))[0]).toMatchObject({
    kind: 'deactivated',
    source: 'feedback',
  });
  expect(await context.sql('select kind, payload from events where app = $1', [app])).toMatchObject([
    {
      kind: 'devices.deactivated',
      payload: { source: 'feedback', status: null, devices: [{ token: tokens.older, userId: 'older' }] },
    },
  ]);
  await store(app, [tuple(tokens.older!, hourAgo)]);
  expect(await applyAll()).toMatchObject([{ counts: { inactive: 1 } }]);
});

test('a long reading is applied in chunks, each once, by whoever comes', async () => {
  const { devices, feedback } = context.store;
  const app = newApp();
  const tuples = randomTuples(2_500);
  await devices.registerMany(
    app,
    tuples.map(({ token }) => ({
      token: Buffer.from(token).toString('hex') as never,
      registeredAt: new Date(0),
    })),
  );
  const id = await store(app, tuples, 200);
  expect(await feedback.backlog()).toEqual([{ app, tuples: 2_500 }]);
  const results = await Promise.all([applyAll(), applyAll(), applyAll()]);
  const chunks = results.flat();
  expect(chunks).toHaveLength(13);
  expect(chunks.reduce((sum, { counts }) => sum + counts.deactivated, 0)).toBe(2_500);
  expect(
    await context.sql('select tuples, applied, deactivated from feedback_readings where id = $1', [id]),
  ).toEqual([{ tuples: 2_500, applied: 2_500, deactivated: 2_500 }]);
  const events = await context.sql(
    `select jsonb_array_length(payload->'devices') as n from events where app = $1`,
    [app],
  );
  expect(events.reduce((sum, { n }) => sum + (n as number), 0)).toBe(2_500);
  expect(await feedback.backlog()).toEqual([]);
});

test('tuples are applied while the reading goes on', async () => {
  const { feedback } = context.store;
  const app = newApp();
  const reading = (await feedback.openReading(app))!;
  for (const count of [3, 4]) {
    await reading.append(randomTuples(count));
    expect(await applyAll()).toMatchObject([{ reading: reading.id, counts: { unknown: count } }]);
  }
  await reading.finish({ result: 'complete' });
  await reading.close();
  expect(await applyAll()).toEqual([]);
});

test('one reader at a time has the lock of an app; another app is free', async () => {
  const { feedback } = context.store;
  const app = newApp();
  const first = (await feedback.openReading(app))!;
  expect(await feedback.openReading(app)).toBeUndefined();
  const other = (await feedback.openReading(newApp()))!;
  await other.close();
  await first.close();
  const second = (await feedback.openReading(app))!;
  expect(second).toBeDefined();
  await second.close();
});

test('what a reader stored before it died is applied, and its lock is free', async () => {
  const { feedback } = context.store;
  const app = newApp();
  const reading = (await feedback.openReading(app))!;
  await reading.append(randomTuples(30));
  expect(await feedback.endInterrupted([app])).toBe(0);
  const [session] = await sessionsOf(app);
  await context.sql('select pg_terminate_backend($1)', [session!.pid]);
  await vi.waitFor(() => expect(reading.hasLostLock).toBe(true), 10_000);
  await vi.waitFor(async () => expect(await feedback.endInterrupted([app])).toBe(1), 10_000);
  expect(await applyAll()).toMatchObject([{ app, counts: { unknown: 30 } }]);
  expect(await feedback.lastReadings([app, newApp()])).toMatchObject([
    { app, result: 'interrupted', failures: 0 },
  ]);

  // The reader lives after all: what it has read and not stored yet is stored and applied as well.
  await reading.append(randomTuples(5));
  await reading.finish({ result: 'broken' });
  await reading.close();
  expect(await applyAll()).toMatchObject([{ app, counts: { unknown: 5 } }]);
});

test('a reader that is stuck loses its session, and with it the lock', async () => {
  const { feedback } = context.store;
  const app = newApp();
  const stuck = (await feedback.openReading(app, { idleTimeoutMs: 400 }))!;
  expect(await feedback.openReading(app)).toBeUndefined();
  // The whole process stands still, its heartbeat too, while its connections stay.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
  const next = await feedback.openReading(app);
  expect(next).toBeDefined();
  await vi.waitFor(() => expect(stuck.hasLostLock).toBe(true), 10_000);
  await Promise.all([stuck.close(), next!.close()]);
});

test('a reader that lost its lock stores what it has read, beside the new reader', async () => {
  const { feedback } = context.store;
  const app = newApp();
  const old = (await feedback.openReading(app))!;
  await old.append(randomTuples(10));
  const [session] = await sessionsOf(app);
  await context.sql('select pg_terminate_backend($1)', [session!.pid]);
  await vi.waitFor(() => expect(old.hasLostLock).toBe(true), 10_000);
  let next: Awaited<ReturnType<typeof feedback.openReading>>;
  await vi.waitFor(async () => {
    next = await feedback.openReading(app);
    expect(next).toBeDefined();
  }, 10_000);
  await old.append(randomTuples(7));
  expect(old.hasLostLock).toBe(true);
  await old.finish({ result: 'stopped' });
  await next!.append(randomTuples(3));
  await next!.finish({ result: 'complete' });
  await Promise.all([old.close(), next!.close()]);
  const counts = (await applyAll()).map((chunk) => chunk.counts.unknown);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20);
});

test('how a reading ended is kept, with the bytes that became no tuple', async () => {
  const { feedback } = context.store;
  const app = newApp();
  for (const result of ['complete', 'failed', 'failed'] as const) {
    const reading = (await feedback.openReading(app))!;
    await reading.finish({ result, detail: `it was\0 ${result}`, remainder: Buffer.from('abcd', 'hex') });
    await reading.close();
  }
  expect(await feedback.lastReadings([app])).toMatchObject([{ app, result: 'failed', failures: 2 }]);
  expect(
    await context.sql(
      'select result, detail, remainder from feedback_readings where app = $1 order by id limit 1',
      [app],
    ),
  ).toEqual([{ result: 'complete', detail: 'it was� complete', remainder: Buffer.from('abcd', 'hex') }]);
});
