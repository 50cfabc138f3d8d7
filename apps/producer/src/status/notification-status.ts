import { parseNotificationId } from '@pushfleet/push-queue';
import { findLetterOf, type QueuedJob, readQueuedJobs } from '@pushfleet/push-queue/status';
import type { NotificationState } from '@pushfleet/token-store';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { NotificationAnswer } from '../schemas/status-schemas.ts';
import { readCancelRequest } from './cancel-request.ts';
import { type Asker, findBatch } from './find-batch.ts';

type Outcome = Pick<NotificationAnswer, 'state' | 'certainty' | 'reason' | 'gatewayStatus' | 'settledAt'>;

/**
 * A notification is told from its exception or its reported push job in Postgres, else from its push job in the queue.
 * @throws Problem, TokenStoreError
 */
export async function readNotification(
  context: ProducerContext,
  asker: Asker,
  id: string,
): Promise<NotificationAnswer> {
  const parsed = parseNotificationId(id);
  if (parsed === undefined || parsed.index === 0) throw unknownNotification(id);
  const { batch, index } = parsed;
  const { redis, database } = context;
  const { batches } = database.store;
  const found = await findBatch(context, asker, batch);
  if (found === undefined) throw unknownNotification(id);
  const [job] = await readQueuedJobs(redis, found, index);
  const stored = await batches.find(batch);
  const known = stored ?? found;
  if (index > known.size) throw unknownNotification(id);
  const state = stored === undefined ? undefined : await batches.notification(stored.app, batch, index);
  const outcome = outcomeOf(index, state, job);
  const cancelRequestedAt =
    outcome.state === 'queued'
      ? await readCancelRequest(redis, found, [[index, index + 1]], index)
      : undefined;
  const enqueuedAt = stored?.enqueuedAt ?? (job === undefined ? undefined : new Date(job.enqueuedAtMs));
  return {
    notificationId: id,
    app: known.app,
    lane: known.lane as NotificationAnswer['lane'],
    ...outcome,
    ...(enqueuedAt === undefined ? {} : { enqueuedAt: enqueuedAt.toISOString() }),
    ...(job !== undefined && job.startMs > job.enqueuedAtMs
      ? { sendAt: new Date(job.startMs).toISOString() }
      : {}),
    ...(cancelRequestedAt === undefined ? {} : { cancelRequestedAt: cancelRequestedAt.toISOString() }),
    ...(state?.outcome === 'dead' && state.firstIndex !== undefined
      ? await letterOf(context, known.app, { batch, index, firstIndex: state.firstIndex })
      : {}),
  };
}

/** Where what is dead can be sent again, or has been. */
async function letterOf(
  { redis }: ProducerContext,
  app: string,
  place: Parameters<typeof findLetterOf>[2],
): Promise<Pick<NotificationAnswer, 'deadLetter' | 'replayedAs'>> {
  const { letter, replayedAs } = await findLetterOf(redis, app, place);
  if (letter !== undefined) {
    return { deadLetter: { id: letter, replay: `/v1/apps/${app}/dead-letters/${letter}/replay` } };
  }
  return replayedAs === undefined ? {} : { replayedAs };
}

function outcomeOf(index: number, state: NotificationState | undefined, job: QueuedJob | undefined): Outcome {
  if (state !== undefined && state.outcome !== 'queued') return ofState(state);
  // Neither reported nor in the queue: its push job has ended, and the report is on its way.
  if (job === undefined) return { state: 'settling' };
  return ofProgress(index, job);
}

function ofState(state: NotificationState): Outcome {
  const { exception, certainty } = state;
  if (exception === undefined) {
    return { state: 'accepted', ...(certainty === undefined ? {} : { certainty }) };
  }
  return {
    state: exception.outcome,
    reason: exception.reason,
    ...(exception.status === null ? {} : { gatewayStatus: exception.status }),
    settledAt: exception.at.toISOString(),
  };
}

/** What a worker has checkpointed of a job that has not ended. */
function ofProgress(index: number, { progress }: QueuedJob): Outcome {
  if (progress === undefined) return { state: 'queued' };
  const exception = progress.exceptions.find((each) => each.index === index);
  if (exception !== undefined) {
    return {
      state: exception.outcome,
      reason: exception.reason,
      ...(exception.status === undefined ? {} : { gatewayStatus: exception.status }),
      settledAt: new Date(exception.atMs).toISOString(),
    };
  }
  const remains = progress.remaining.some(([from, to]) => from <= index && index < to);
  if (remains) return { state: 'queued' };
  return { state: 'accepted', certainty: progress.accepted.presumed === 0 ? 'proved' : 'presumed' };
}

function unknownNotification(id: string): Problem {
  return new Problem('unknown-notification', `there is no notification ${id}, or it is too old`);
}
