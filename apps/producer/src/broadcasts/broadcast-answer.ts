import type { Broadcast, BroadcastOutcomes } from '@pushfleet/token-store';
import type { BroadcastAnswer } from '../schemas/broadcast-schemas.ts';

/** A broadcast as the API tells it. */
export function answerOf(broadcast: Broadcast, outcomes: BroadcastOutcomes): BroadcastAnswer {
  const { id, app, lane, state, error, createdAt, startAt, startedAt, finishedAt, enqueued } = broadcast;
  const { acceptedProved, acceptedPresumed, rejected, expired, cancelled, dead } = outcomes;
  const accepted = acceptedProved + acceptedPresumed;
  return {
    broadcastId: id,
    app,
    lane: lane as BroadcastAnswer['lane'],
    state,
    ...(error === null ? {} : { error }),
    createdAt: createdAt.toISOString(),
    startAt: startAt.toISOString(),
    ...(startedAt === null ? {} : { startedAt: startedAt.toISOString() }),
    ...(finishedAt === null ? {} : { finishedAt: finishedAt.toISOString() }),
    progress: progressOf(broadcast),
    enqueued,
    queued: Math.max(0, enqueued - accepted - rejected - expired - cancelled - dead),
    accepted,
    rejected,
    expired,
    cancelled,
    dead,
  };
}

/** Tokens are as good as random: where the last one lies among all says how much is done. */
function progressOf({ state, afterToken }: Broadcast): number {
  if (state === 'finished') return 1;
  if (afterToken.length < 4) return 0;
  return Math.round((afterToken.readUInt32BE(0) / 0xffff_ffff) * 1_000) / 1_000;
}
