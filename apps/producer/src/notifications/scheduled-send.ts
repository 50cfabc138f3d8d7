import { type AppControlOptions, cancel, type PushQueue } from '@pushfleet/push-queue';
import type { ScheduledSend, ScheduledSends } from '@pushfleet/token-store';
import { cancellationMs } from '../status/cancel-request.ts';

/** How long it is remembered that it was enqueued: whoever did may have died before writing that down. Milliseconds. */
const memoryMs = 30 * 86_400_000;

/** Of its own under which a scheduled send is enqueued, with the options that go with it. */
export function scheduledKey(id: string) {
  const key = `scheduled/${id}`;
  return { key, recall: { fingerprint: key, idempotencyWindowMs: memoryMs, isOwn: true } };
}

export interface ScheduledSendParts {
  readonly queue: PushQueue;
  readonly redis: AppControlOptions;
  readonly scheduledSends: ScheduledSends;
}

/**
 * Ends a send that is `cancelling`: if it is in the queue its batch is cancelled, and else it never comes there, however
 * slow whoever is about to enqueue it may be. May be done again. @throws PushQueueError, TokenStoreError
 */
export async function finishCancelling(
  { id, app }: Pick<ScheduledSend, 'id' | 'app'>,
  { queue, redis, scheduledSends }: ScheduledSendParts,
): Promise<void> {
  const { key, recall } = scheduledKey(id);
  const sent = await queue.renounce(app, key, recall);
  if (sent !== undefined) await cancel(redis, app, sent.batchId, cancellationMs);
  await scheduledSends.end(id, 'cancelling', { state: sent === undefined ? 'cancelled' : 'enqueued' });
}
