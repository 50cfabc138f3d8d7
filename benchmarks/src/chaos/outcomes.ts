import { setTimeout as delay } from 'node:timers/promises';
import type { Notification, PushfleetClient } from '@pushfleet/client';
import type { Remembered } from './memory.ts';

/** How long the last outcome may take to Postgres: what a dead sweeper had read is taken over after a minute. */
const reportTimeoutMs = 180_000;

export type Outcome = Pick<Notification, 'state' | 'reason'>;

/** The outcome of each; one without an entry is unknown to the API. Waits until Postgres has the last ones. */
export async function readOutcomes(
  api: PushfleetClient,
  items: readonly Remembered[],
): Promise<ReadonlyMap<string, Outcome>> {
  const states = new Map<string, Outcome>();
  const endMs = performance.now() + reportTimeoutMs;
  const readSingle = async (id: string): Promise<void> => {
    for (;;) {
      const state = await api.notification(id).catch(() => undefined);
      if (state !== undefined) states.set(id, state);
      const isPassing = state === undefined || state.state === 'settling' || state.state === 'queued';
      if (!isPassing || performance.now() > endMs) return;
      await delay(200);
    }
  };
  const readBatch = async (batchId: string, ids: readonly string[]): Promise<void> => {
    let batch = await api.batch(batchId);
    while (batch.state !== 'finished' && performance.now() < endMs) {
      await delay(200);
      batch = await api.batch(batchId);
    }
    for (const id of ids) states.set(id, { state: batch.state === 'finished' ? 'accepted' : 'queued' });
    let others = 0;
    for await (const { notificationId, outcome, reason } of api.exceptions(batchId)) {
      states.set(notificationId, { state: outcome, reason });
      others += 1;
    }
    // Those that nothing is said of are what it counts as accepted.
    if (batch.accepted !== ids.length - others) throw new Error(`Batch ${batchId} does not add up`);
  };
  const byBatch = Map.groupBy(
    items.filter(({ batchId, notificationId }) => batchId !== undefined && notificationId !== undefined),
    ({ batchId }) => batchId!,
  );
  const reads = [
    ...[...byBatch].map(
      ([batchId, list]) =>
        async () =>
          readBatch(
            batchId,
            list.map(({ notificationId }) => notificationId!),
          ),
    ),
    ...items
      .filter(({ batchId }) => batchId === undefined)
      .flatMap(({ notificationId }) => notificationId ?? [])
      .map((id) => async () => readSingle(id)),
  ].values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const read of reads) await read();
    }),
  );
  return states;
}
