import { expect, test, vi } from 'vitest';
import {
  cancel,
  createBatchId,
  liftPauses,
  pauseApp,
  readCancellation,
  readCancellationTimes,
  readPauses,
} from '../src/index.ts';
import { cancellationTimesKey, pausesKey } from '../src/redis/keys.ts';
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

test('the time of a cancellation is that of its first request, and goes with its mark', async () => {
  const control = probeQueue();
  const batch = createBatchId();
  const startMs = Date.now();
  await cancel(control, 'shop', batch, 60_000, [3]);
  const first = await readCancellationTimes(control, 'shop', batch);
  expect([...first.keys()]).toEqual([3]);
  expect(first.get(3)).toBeGreaterThanOrEqual(startMs);
  await vi.waitUntil(() => Date.now() > first.get(3)!);
  await cancel(control, 'shop', batch, 60_000, [3, 5]);
  await cancel(control, 'shop', batch, 60_000);
  const all = await readCancellationTimes(control, 'shop', batch);
  expect([...all.keys()].toSorted()).toEqual([0, 3, 5]);
  expect(all.get(3)).toBe(first.get(3));
  expect(all.get(5)).toBeGreaterThan(first.get(3)!);
  const leftMs = await control.redis.pttl(cancellationTimesKey(control.prefix, 'shop', batch));
  expect(leftMs).toBeGreaterThan(0);
  expect(leftMs).toBeLessThanOrEqual(60_000);
});

test('a pause that no script of Redis can read is followed by another, and half a character is stored as none', async () => {
  const control = probeQueue();
  await control.redis.hset(
    pausesKey(control.prefix, 'shop'),
    'operator',
    '{"reason":"x\\ud800","sinceMs":1}',
  );
  await pauseApp(control, 'shop', { cause: 'operator', reason: 'y\ud800', sinceMs: 2 });
  await pauseApp(control, 'shop', { cause: 'operator', reason: 'again', sinceMs: 3 });
  expect(await readPauses(control, 'shop')).toEqual([{ cause: 'operator', reason: 'y\ufffd', sinceMs: 2 }]);
});
