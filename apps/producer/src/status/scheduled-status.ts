import type { ScheduledSend } from '@pushfleet/token-store';
import type { BatchAnswer } from '../schemas/status-schemas.ts';

/** A scheduled send of which no notification is in the queue: not yet, or none ever. */
export function answerOfScheduled(send: ScheduledSend): BatchAnswer {
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
export function withoutDevices(
  send: Pick<ScheduledSend, 'usersWithoutDevices'> | undefined,
): Pick<BatchAnswer, 'usersWithoutDevices'> {
  const users = send?.usersWithoutDevices ?? null;
  return users === null ? {} : { usersWithoutDevices: [...users] };
}
