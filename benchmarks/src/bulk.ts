import type { PushQueue } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { benchApp } from './fleet.ts';

const alert = { title: 'Sale', body: 'Everything must go, today and tomorrow, in every shop of the town' };

/**
 * Enqueues `count` notifications on the bulk lane, in batches of 5,000 with one payload.
 * @param firstBatch Number of the first batch: batches with other numbers have other tokens.
 */
export async function enqueueBulk(
  queue: PushQueue,
  count: number,
  firstBatch = 0,
  app = benchApp,
): Promise<void> {
  const tokens = generateTokens({ count: 5_000 });
  for (let first = 0; first < count; first += tokens.length) {
    const stamp = (firstBatch + first / tokens.length).toString(16).padStart(8, '0');
    await queue.enqueueBatch({
      app,
      lane: 'bulk',
      defaults: { alert },
      notifications: tokens.slice(0, count - first).map((token) => ({ token: stamp + token.slice(8) })),
    });
  }
}
