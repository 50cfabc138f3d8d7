import type { PushQueue } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { benchApp } from './fleet.ts';

const alert = { title: 'Sale', body: 'Everything must go, today and tomorrow, in every shop of the town' };

/** 200 characters: with it a payload has about 250 bytes. */
export const longText =
  'Everything must go, today and tomorrow, in every shop of the town and in every shop around it. '
    .repeat(3)
    .slice(0, 200);

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

/** The same for tokens that a gateway knows, over and over; with a payload of about 250 bytes. */
export async function enqueueTo(queue: PushQueue, tokens: readonly string[], count: number): Promise<void> {
  const size = 5_000;
  const notifications = Array.from({ length: size }, (_, place) => ({
    token: tokens[place % tokens.length]!,
  }));
  for (let first = 0; first < count; first += size) {
    await queue.enqueueBatch({
      app: benchApp,
      lane: 'bulk',
      defaults: { alert: { title: 'Sale', body: longText } },
      notifications: notifications.slice(0, count - first),
    });
  }
}
