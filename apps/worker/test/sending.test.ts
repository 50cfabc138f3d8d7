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
