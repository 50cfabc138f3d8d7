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
