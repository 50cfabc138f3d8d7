import { type NotificationId, parseNotificationId } from '@pushfleet/push-queue';
import { type QueuedJob, readQueuedJobs } from '@pushfleet/push-queue/status';
import type { Batch, ScheduledSend } from '@pushfleet/token-store';
import type { ProducerContext } from '../context.ts';
import { Problem } from '../http/problem.ts';
import type { BatchAnswer, NotificationAnswer } from '../schemas/status-schemas.ts';
import { readCancelRequest, remainingOf } from './cancel-request.ts';
import { type Asker, findBatch, findScheduled } from './find-batch.ts';
import { readNotification } from './notification-status.ts';

/**
 * A batch is told from Postgres, as far as outcome reports have been applied, and from the push jobs that are still in
 * the queue. A report is applied after its job has left the queue: the queue is read first, so that what moves in
 * between is seen twice rather than not at all, and then counted once.
 * @throws Problem, TokenStoreError
 */
export async function readBatch(context: ProducerContext, asker: Asker, id: string): Promise<BatchAnswer> {
  const parsed = parseNotificationId(id);
  if (parsed === undefined) throw unknownBatch(id);
  if (parsed.index !== 0) return ofOne(await readNotification(context, asker, id));
  const { redis, database } = context;
  const { batches } = database.store;
  let found = await findBatch(context, asker, parsed.batch);
  const scheduled = await findScheduled(context, asker, parsed.batch);
  // It has gone out in between.
  if (scheduled?.state === 'enqueued') found ??= await findBatch(context, asker, parsed.batch);
  if (found === undefined) {
    if (scheduled === undefined) throw unknownBatch(id);
    return answerOfScheduled(scheduled);
  }
  const jobs = await readQueuedJobs(redis, found);
  const stored = await batches.find(parsed.batch);
  const reported = jobs.length === 0 ? [] : await batches.reportedJobs(parsed.batch);
  const counts = countsOf(stored);
  const done = new Set(reported);
  for (const job of jobs) if (!done.has(job.firstIndex)) addProgress(counts, job);

  const cancelRequestedAt = await readCancelRequest(redis, found, remainingOf(jobs), 0);
  const { app, lane, size } = stored ?? found;
  const enqueuedAt = stored?.enqueuedAt ?? dateOf(jobs[0]?.enqueuedAtMs);
  const { proved, presumed, ...refused } = counts;
  const accepted = proved + presumed;
  const queued = size - accepted - refused.rejected - refused.expired - refused.cancelled - refused.dead;
  return {
    batchId: parsed.batch,
    app,
    lane: lane as BatchAnswer['lane'],
    size,
    state: queued === 0 ? 'finished' : 'queued',
    ...(enqueuedAt === undefined ? {} : { enqueuedAt: enqueuedAt.toISOString() }),
    ...(cancelRequestedAt === undefined || queued === 0
      ? {}
      : { cancelRequestedAt: cancelRequestedAt.toISOString() }),
    ...withoutDevices(scheduled),
    queued,
    accepted,
    certainty: { proved, presumed },
    ...refused,
  };
}

interface Counts {
  proved: number;
  presumed: number;
  rejected: number;
  expired: number;
  cancelled: number;
  dead: number;
}

function countsOf(stored: Batch | undefined): Counts {
  return {
    proved: stored?.acceptedProved ?? 0,
    presumed: stored?.acceptedPresumed ?? 0,
    rejected: stored?.rejected ?? 0,
    expired: stored?.expired ?? 0,
    cancelled: stored?.cancelled ?? 0,
    dead: stored?.dead ?? 0,
  };
}

/** What a worker has settled of a job that has not ended. */
function addProgress(counts: Counts, { progress }: QueuedJob): void {
  if (progress === undefined) return;
  counts.proved += progress.accepted.proved;
  counts.presumed += progress.accepted.presumed;
  for (const { outcome } of progress.exceptions) counts[outcome] += 1;
}

/** A single send has no batch to itself: its batch is told as one of size 1. */
function ofOne(notification: NotificationAnswer): BatchAnswer {
  const { notificationId, app, lane, state, certainty, enqueuedAt, cancelRequestedAt } = notification;
  const is = (...states: NotificationAnswer['state'][]) => (states.includes(state) ? 1 : 0);
  return {
    batchId: notificationId,
    app,
    lane,
    size: 1,
    state: is('queued', 'settling') === 1 ? 'queued' : 'finished',
    ...(enqueuedAt === undefined ? {} : { enqueuedAt }),
    ...(cancelRequestedAt === undefined ? {} : { cancelRequestedAt }),
    queued: is('queued', 'settling'),
    accepted: is('accepted'),
    certainty: {
      proved: certainty === 'proved' ? 1 : 0,
      presumed: certainty === 'presumed' ? 1 : 0,
    },
    rejected: is('rejected'),
    expired: is('expired'),
    cancelled: is('cancelled'),
    dead: is('dead'),
  };
}

function unknownBatch(id: NotificationId): Problem {
  return new Problem('unknown-batch', `there is no batch ${id}, or it is too old`);
}

function dateOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

/** A scheduled send of which no notification is in the queue: not yet, or none ever. */
function answerOfScheduled(send: ScheduledSend): BatchAnswer {
  const { id, app, lane, size, state, sendAt, cancelRequestedAt, error } = send;
  const isOver = state === 'cancelled' || state === 'failed';
  return {
    batchId: id,
    app,
    lane: lane as BatchAnswer['lane'],
    size,
    state: isOver ? 'finished' : 'queued',
    ...(isOver ? {} : { sendAt: sendAt.toISOString() }),
    ...(isOver || cancelRequestedAt === null ? {} : { cancelRequestedAt: cancelRequestedAt.toISOString() }),
    ...(error === null ? {} : { error }),
    ...withoutDevices(send),
    queued: isOver ? 0 : size,
    accepted: 0,
    certainty: { proved: 0, presumed: 0 },
    rejected: state === 'failed' ? size : 0,
    expired: 0,
    cancelled: state === 'cancelled' ? size : 0,
    dead: 0,
  };
}

/** What is told of one beside its batch. */
function withoutDevices(
  send: Pick<ScheduledSend, 'usersWithoutDevices'> | undefined,
): Pick<BatchAnswer, 'usersWithoutDevices'> {
  const users = send?.usersWithoutDevices ?? null;
  return users === null ? {} : { usersWithoutDevices: [...users] };
}
