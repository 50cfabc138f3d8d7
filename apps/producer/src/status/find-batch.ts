import type { BatchId } from '@pushfleet/push-queue';
import { type LocatedBatch, locateBatch } from '@pushfleet/push-queue/status';
import type { ScheduledSend } from '@pushfleet/token-store';
import type { FastifyRequest } from 'fastify';
import { isVisible } from '../auth/grant.ts';
import type { ProducerContext } from '../context.ts';

/** Whose key says which apps there are. */
export type Asker = Pick<FastifyRequest, 'grant'>;

/**
 * Where a batch lies: from Redis, or from Postgres when Redis has forgotten its first push job, and others may still
 * wait: those of an app that rests, or that are tried again. Undefined: there is none, or it is another app's.
 * @throws TokenStoreError
 */
export async function findBatch(
  context: ProducerContext,
  asker: Asker,
  batch: BatchId,
): Promise<LocatedBatch | undefined> {
  return (await locateVisible(context, asker, batch)) ?? findStored(context, asker, batch);
}

/** As `findBatch`, but asks Redis only for a batch of which nothing is reported. */
export async function findReported(
  context: ProducerContext,
  asker: Asker,
  batch: BatchId,
): Promise<LocatedBatch | undefined> {
  return (await findStored(context, asker, batch)) ?? locateVisible(context, asker, batch);
}

/** A send to users that waits for its time. Undefined: there is none, or it is another app's. @throws TokenStoreError */
export async function findScheduled(
  { database }: ProducerContext,
  asker: Asker,
  batch: BatchId,
): Promise<ScheduledSend | undefined> {
  const scheduled = await database.store.scheduledSends.get(batch);
  return scheduled !== undefined && isVisible(asker, scheduled.app) ? scheduled : undefined;
}

async function locateVisible({ redis, apps }: ProducerContext, asker: Asker, batch: BatchId) {
  const visible = [...apps.keys()].filter((app) => isVisible(asker, app));
  return locateBatch(redis, visible, batch);
}

async function findStored({ database }: ProducerContext, asker: Asker, batch: BatchId) {
  const stored = await database.store.batches.find(batch);
  if (stored === undefined || !isVisible(asker, stored.app)) return undefined;
  return { app: stored.app, lane: stored.lane as LocatedBatch['lane'], batch, size: stored.size };
}
