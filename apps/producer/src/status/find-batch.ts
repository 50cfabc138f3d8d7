import type { BatchId } from '@pushfleet/push-queue';
import { type LocatedBatch, locateBatch } from '@pushfleet/push-queue/status';
import type { ProducerContext } from '../context.ts';

/**
 * Where a batch lies: from Redis, or from Postgres when Redis has forgotten its first push job, and others may still
 * wait: those of an app that rests, or that are tried again. Undefined: there is none. @throws TokenStoreError
 */
export async function findBatch(context: ProducerContext, batch: BatchId): Promise<LocatedBatch | undefined> {
  const { redis, apps, database } = context;
  const located = await locateBatch(redis, [...apps.keys()], batch);
  if (located !== undefined) return located;
  const stored = await database.store.batches.find(batch);
  if (stored === undefined) return undefined;
  return { app: stored.app, lane: stored.lane as LocatedBatch['lane'], batch, size: stored.size };
}
