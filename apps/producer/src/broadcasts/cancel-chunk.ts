import { type AppControlOptions, cancel, type PushQueue } from '@pushfleet/push-queue';
import type { Broadcast } from '@pushfleet/token-store';

/** Marks of cancelled batches outlive any backlog. Milliseconds. */
export const cancellationMs = 14 * 86_400_000;

/**
 * How long it is remembered that a chunk was enqueued: a broadcast whose producer died in the middle of one, and that is
 * paused, has to go on within this. A record is 150 bytes for ten thousand devices. Milliseconds.
 */
export const chunkMemoryMs = 30 * 86_400_000;

/** The idempotency key of a chunk, and its fingerprint. */
export function chunkKey(broadcast: string, chunk: number): string {
  return `broadcast/${broadcast}/${chunk}`;
}

/**
 * Cancels a chunk of a cancelled broadcast, if the queue has it, and else keeps it from coming there: whoever is about
 * to enqueue it may be so slow that we do not see it, and die before seeing us. The table of chunks may not know of it:
 * it is written down only after it has been enqueued. Throws `PushQueueError`.
 */
export async function cancelChunk(
  { id, app }: Pick<Broadcast, 'id' | 'app'>,
  chunk: number,
  { queue, redis }: { readonly queue: PushQueue; readonly redis: AppControlOptions },
): Promise<void> {
  const key = chunkKey(id, chunk);
  const recall = { fingerprint: key, idempotencyWindowMs: chunkMemoryMs, isOwn: true };
  const sent = await queue.renounce(app, key, recall);
  if (sent !== undefined) await cancel(redis, app, sent.batchId, cancellationMs);
}
