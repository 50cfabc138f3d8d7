import { type AppControlOptions, cancel, type PushQueue } from '@pushfleet/push-queue';
import type { Broadcast, Broadcasts } from '@pushfleet/token-store';
import { cancellationMs } from '../status/cancel-request.ts';

/**
 * How long it is remembered that a chunk was enqueued: a broadcast whose producer died in the middle of one, and that is
 * paused, has to go on within this. A record is 150 bytes for ten thousand devices. Milliseconds.
 */
export const chunkMemoryMs = 30 * 86_400_000;

/** The idempotency key of a chunk, and its fingerprint. */
export function chunkKey(broadcast: string, chunk: number): string {
  return `broadcast/${broadcast}/${chunk}`;
}

export interface SettleParts {
  readonly queue: PushQueue;
  readonly redis: AppControlOptions;
  readonly broadcasts: Broadcasts;
}

/**
 * Finds out about the chunk that was written down to be enqueued: whoever was to enqueue it may have died before it was
 * written down that it has been. Throws `PushQueueError`, `TokenStoreError`.
 * @param how `renounce` also keeps it from being enqueued from now on, however slow whoever is about to do so may be
 */
export async function settleChunk(
  { id, app, chunk, pendingToken }: Broadcast,
  how: 'recall' | 'renounce',
  { queue, broadcasts }: Pick<SettleParts, 'queue' | 'broadcasts'>,
): Promise<void> {
  if (pendingToken === null) return;
  const key = chunkKey(id, chunk);
  const recall = { fingerprint: key, idempotencyWindowMs: chunkMemoryMs, isOwn: true };
  const sent =
    how === 'renounce' ? await queue.renounce(app, key, recall) : await queue.recall(app, key, key, recall);
  if (sent === undefined || sent.count === 0) return;
  await broadcasts.recordChunk(id, chunk, { batch: sent.batchId, count: sent.count });
}

/**
 * Ends one that is `cancelling`: what is enqueued of it is cancelled, and nothing more of it will be. May be done again, by
 * anybody. Undefined: somebody else has. Throws `PushQueueError`, `TokenStoreError`, and what ioredis throws.
 */
export async function finishCancelling(
  broadcast: Broadcast,
  parts: SettleParts,
): Promise<Broadcast | undefined> {
  const { broadcasts, redis } = parts;
  const { id, app } = broadcast;
  await settleChunk(broadcast, 'renounce', parts);
  // After that: now they are all there.
  for (const batch of await broadcasts.batchesOf(id)) await cancel(redis, app, batch, cancellationMs);
  return broadcasts.endCancelling(id);
}
