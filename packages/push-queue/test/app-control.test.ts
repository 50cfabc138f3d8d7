import { expect, test } from 'vitest';
import { cancel, createBatchId, liftPauses, pauseApp, readCancellation, readPauses } from '../src/index.ts';
import { probeQueue } from './queue-probe.ts';

test('an app rests for every cause until each is lifted', async () => {
  const control = probeQueue();
  expect(await readPauses(control, 'shop')).toEqual([]);
  await pauseApp(control, 'shop', { cause: 'operator', reason: 'by hand', sinceMs: 1 });
  await pauseApp(control, 'shop', { cause: 'credential', reason: 'expired', sinceMs: 2 });
  await pauseApp(control, 'shop', { cause: 'credential', reason: 'expired again', sinceMs: 3 });
  expect(await readPauses(control, 'shop')).toEqual([
    { cause: 'operator', reason: 'by hand', sinceMs: 1 },
    { cause: 'credential', reason: 'expired', sinceMs: 2 },
  ]);
  await liftPauses(control, 'shop', ['operator']);
  expect((await readPauses(control, 'shop')).map(({ cause }) => cause)).toEqual(['credential']);
  expect(await readPauses(control, 'news')).toEqual([]);
});

test('a batch is cancelled in part or as a whole, for a time', async () => {
  const control = probeQueue();
  const batch = createBatchId();
  expect(await readCancellation(control, 'shop', batch)).toBeUndefined();
  await cancel(control, 'shop', batch, 60_000, [3, 5]);
  expect(await readCancellation(control, 'shop', batch)).toEqual({ whole: false, indexes: new Set([3, 5]) });
  await cancel(control, 'shop', batch, 60_000);
  expect((await readCancellation(control, 'shop', batch))?.whole).toBe(true);
  expect(await readCancellation(control, 'shop', createBatchId())).toBeUndefined();
});
