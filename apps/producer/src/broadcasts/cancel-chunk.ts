import { type AppControlOptions, cancel, type PushQueue } from '@pushfleet/push-queue';
import type { Broadcast } from '@pushfleet/token-store';

/** Marks of cancelled batches outlive any backlog. Milliseconds. */
export const cancellationMs = 14 * 86_400_000;

/** The idempotency key of a chunk, and its fingerprint. */
export function chunkKey(broadcast: string, chunk: number): string {
  return `broadcast/${broadcast}/${chunk}`;
}

/**
 * Cancels a chunk of a cancelled broadcast, if the queue has it. The table of chunks may not know of it: it is written
 * down only after it has been enqueued. Throws `PushQueueError`.
 */
export async function cancelChunk(
  { id, app }: Pick<Broadcast, 'id' | 'app'>,
  chunk: number,
  { queue, redis }: { readonly queue: PushQueue; readonly redis: AppControlOptions },
): Promise<void> {
  const key = chunkKey(id, chunk);
  const sent = await queue.recall(app, key, key);
  if (sent !== undefined) await cancel(redis, app, sent.batchId, cancellationMs);
}
