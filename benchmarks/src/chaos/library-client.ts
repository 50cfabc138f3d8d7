import { setTimeout as delay } from 'node:timers/promises';
import { createPushQueue, PushQueueError } from '@pushfleet/push-queue';
import { contentOf, createContext, patienceMs, pickApp, remember } from './client-context.ts';
import type { ChaosFleet } from './fleet.ts';
import type { ClientMemory } from './memory.ts';

/** A service that enqueues by the library, without the API. */
export async function runLibrary(
  fleet: ChaosFleet,
  memory: ClientMemory,
  seed: number,
  signal: AbortSignal,
): Promise<void> {
  const context = createContext(fleet, memory, seed + 50);
  const redis = new URL(fleet.redis.url);
  redis.port = String(fleet.edges['producer to Redis'].port);
  const queue = createPushQueue({ redis: redis.href, prefix: fleet.prefix });
  try {
    while (!signal.aborted) {
      const item = remember(context, pickApp(context.random), 'library');
      const { app, token, mark } = item;
      const endMs = performance.now() + patienceMs;
      while (item.notificationId === undefined) {
        try {
          const sent = await queue.enqueue({
            app,
            token,
            idempotencyKey: `library-${mark}`,
            ...contentOf(mark),
          });
          item.notificationId = sent.notificationId;
        } catch (error) {
          if (!(error instanceof PushQueueError) || performance.now() > endMs) {
            memory.wrongAnswers.push(`the library: ${String(error)}`);
            break;
          }
          await delay(200);
        }
      }
      await delay(40, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await queue.close();
  }
}
