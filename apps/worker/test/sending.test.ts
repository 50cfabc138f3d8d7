import { generateTokens } from '@pushfleet/testkit';
import { afterAll, expect, vi } from 'vitest';
import { stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

test('what is enqueued reaches the gateway once, and is reported as accepted', async ({ rig }) => {
  const { queue, simulator } = rig;
  await rig.openWorker();
  const tokens = generateTokens({ count: 2_500 });
  await queue.enqueueBatch({
    app: 'shop',
    lane: 'bulk',
    notifications: tokens.map((token) => ({ token })),
    defaults: { alert: 'Sale' },
  });
  await queue.enqueue({ app: 'shop', token: tokens[0]!, alert: 'Your parcel' });
  expect(await rig.settled()).toMatchObject({ enqueued: 2_501, accepted: 2_501 });
  expect(await simulator.control.ledger()).toMatchObject({ unique: 2_501, duplicates: 0 });
  const counts = (await rig.reports()).map(({ count }) => count);
  expect(counts.toSorted((a, b) => a - b)).toEqual([1, 500, 1000, 1000]);
  await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0));
});

test('an app with a rate sends no faster, each lane by itself', async ({ rig }) => {
  const { queue, simulator } = rig;
  const rate = 2_000;
  const count = 4_000;
  const tokens = generateTokens({ count });
  await queue.enqueueBatch({
    app: 'shop',
    lane: 'bulk',
    notifications: tokens.map((token) => ({ token })),
    defaults: { alert: 'Sale' },
  });
  const startedMs = performance.now();
  await rig.openWorker([rig.app({ rate })]);
  await vi.waitFor(
    async () => expect((await simulator.control.ledger()).received).toBeGreaterThan(0),
    30_000,
  );
  await queue.enqueue({ app: 'shop', token: tokens[0]!, alert: 'Your parcel' });
  await vi.waitFor(async () => {
    const { received } = await simulator.control.ledger();
    expect(received).toBe(count + 1);
  }, 30_000);
  // The last push job goes when those before it are made up for, but for the burst that a rested lane may send.
  const leastMs = ((count - 1_000 - rate * 0.1) / rate) * 1_000;
  expect(performance.now() - startedMs).toBeGreaterThan(leastMs);
  expect(await rig.settled()).toMatchObject({ enqueued: count + 1, accepted: count + 1 });
});
