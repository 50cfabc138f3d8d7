// Enqueues straight into Redis: one notification, and one payload for many devices.
import { randomBytes } from 'node:crypto';
import { createPushQueue, PushQueueError } from '@pushfleet/push-queue';

const [token = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90'] = process.argv.slice(2);
const { REDIS_URL = 'redis://127.0.0.1:6379', PUSHFLEET_REDIS_PREFIX } = process.env;
const queue = createPushQueue({
  redis: REDIS_URL,
  ...(PUSHFLEET_REDIS_PREFIX === undefined ? {} : { prefix: PUSHFLEET_REDIS_PREFIX }),
});

try {
  const { notificationId } = await queue.enqueue({
    app: 'shop-prod',
    token,
    alert: { title: 'Your order', body: 'It is on its way.' },
  });
  const { batchId, count } = await queue.enqueueTokens({
    app: 'shop-prod',
    lane: 'bulk',
    // 2,000 device tokens of 32 bytes, back to back, as they might come from a table of your own.
    tokens: randomBytes(2_000 * 32),
    alert: 'The sale begins.',
  });
  console.log(JSON.stringify({ notificationId, batchId, count }));
} catch (error) {
  if (!(error instanceof PushQueueError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await queue.close();
}
