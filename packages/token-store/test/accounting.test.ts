import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { FleetTotals } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();

function totals(app: string, change: Partial<FleetTotals> = {}): FleetTotals {
  return {
    app,
    lane: 'bulk',
    enqueued: 0,
    acceptedProved: 0,
    acceptedPresumed: 0,
    rejected: 0,
    expired: 0,
    cancelled: 0,
    dead: 0,
    ...change,
  };
}

const apply = (app: string, proved: number, presumed: number, dead: number) => {
  const count = proved + presumed + dead;
  return context.store.reports.apply([
    {
      v: 1,
      job: 'any',
      app,
      lane: 'bulk',
      batch: randomUUID(),
      batchSize: count,
      firstIndex: 1,
      count,
      enqueuedAtMs: 1,
      settledAtMs: 2,
      accepted: { proved, presumed },
      resentUncertain: 0,
      exceptions: Array.from({ length: dead }, (_, at) => ({
        index: at + 1,
        token: newToken(),
        outcome: 'dead' as const,
        reason: 'uncertain',
        atMs: 1,
      })),
    },
  ]);
};

test('what was enqueued is the sum of what became of it, what is queued and what is on its way here', async () => {
  const { accounting } = context.store;
  const app = newApp();
  await accounting.store(
    [totals(app, { enqueued: 100, acceptedProved: 20, acceptedPresumed: 30, dead: 2 })],
    new Date(1_000),
  );
  const line = async () => (await accounting.read()).find((one) => one.app === app);
  expect(await line()).toMatchObject({
    enqueued: 100,
    acceptedProved: 0,
    dead: 0,
    stillQueued: 48,
    notYetApplied: 52,
  });
  await apply(app, 20, 10, 1);
  await apply(app, 0, 20, 1);
  expect(await line()).toMatchObject({
    enqueued: 100,
    acceptedProved: 20,
    acceptedPresumed: 30,
    dead: 2,
    stillQueued: 48,
    notYetApplied: 0,
    readAt: new Date(1_000),
  });
  // Another sweeper that asked before and writes after.
  await accounting.store([totals(app, { enqueued: 90 })], new Date(900));
  expect(await line()).toMatchObject({ enqueued: 100 });
  await accounting.store(
    [totals(app, { enqueued: 120, acceptedProved: 20, acceptedPresumed: 30, dead: 2 })],
    new Date(2_000),
  );
  expect(await line()).toMatchObject({ enqueued: 120, stillQueued: 68, notYetApplied: 0 });
});

test('batches whose numbers do not agree are found', async () => {
  const { accounting } = context.store;
  const app = newApp();
  for (let batch = 0; batch < 4; batch++) await apply(app, 3, 3, 2);
  expect(await accounting.inconsistentBatches()).toEqual([]);
  const rows = await context.sql('select id from batches where app = $1 order by id', [app]);
  const [one, two, three] = rows.map(({ id }) => id as string);
  await context.sql('update batches set dead = dead - 1, rejected = rejected + 1 where id = $1', [one]);
  await context.sql('delete from exceptions where batch = $1 and index = 1', [two]);
  await context.sql('update batch_jobs set count = count + 1 where batch = $1', [three]);
  expect(await accounting.inconsistentBatches()).toEqual([one, two, three].toSorted());
});

test('outcomes that Redis has forgotten are told apart from those on their way here', async () => {
  const { accounting } = context.store;
  const app = newApp();
  const line = async () => (await accounting.read()).find((one) => one.app === app)!;
  let readAt = 0;
  /** As a sweeper looks: what is applied first, then Redis. */
  const look = async (change: Partial<FleetTotals>, between?: () => Promise<unknown>) => {
    const applied = await accounting.applied();
    await between?.();
    readAt += 1_000;
    return accounting.store([totals(app, change)], new Date(readAt), applied);
  };
  expect(await look({ enqueued: 100, acceptedProved: 60 })).toEqual([]);
  await apply(app, 60, 0, 0);
  // A report that comes between the two is not forgotten.
  expect(
    await look({ enqueued: 100, acceptedProved: 60, acceptedPresumed: 10 }, () => apply(app, 0, 10, 0)),
  ).toEqual([]);
  expect(await line()).toMatchObject({ notYetApplied: 0, forgotten: 0, advice: null });
  // Redis comes back as it was before the last 30 outcomes, and before 5 were enqueued.
  expect(await look({ enqueued: 95, acceptedProved: 40 })).toEqual([{ app, lane: 'bulk', forgotten: 30 }]);
  expect(await line()).toMatchObject({
    enqueued: 95,
    acceptedProved: 60,
    acceptedPresumed: 10,
    stillQueued: 55,
    notYetApplied: 0,
    forgotten: 30,
    advice: expect.stringContaining('without 30 outcomes'),
  });
  // It is told once, and what comes afterwards is counted as ever.
  expect(await look({ enqueued: 95, acceptedProved: 45 })).toEqual([]);
  expect(await look({ enqueued: 95, acceptedProved: 50, dead: 1 }, () => apply(app, 5, 0, 0))).toEqual([]);
  // 20 settled since Redis was asked, 10 of them not even enqueued then: nothing falls below 0, and the sum holds.
  await look({ enqueued: 95, acceptedProved: 50, acceptedPresumed: 35 }, () => apply(app, 0, 30, 0));
  const now = await line();
  const { acceptedProved, acceptedPresumed, dead, stillQueued, notYetApplied, forgotten } = now;
  expect(now.notYetApplied).toBeGreaterThanOrEqual(0);
  expect(now.enqueued + forgotten).toBe(
    acceptedProved + acceptedPresumed + dead + stillQueued + notYetApplied,
  );
});
