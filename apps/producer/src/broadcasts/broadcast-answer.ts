import type { Broadcast, BroadcastOutcomes } from '@pushfleet/token-store';
import type { BroadcastAnswer } from '../schemas/broadcast-schemas.ts';

/** A broadcast as the API tells it: its fan-out, and what has become of what was enqueued. */
export function answerOf(broadcast: Broadcast, outcomes: BroadcastOutcomes): BroadcastAnswer {
  const { id, app, lane, state, error, createdAt, startAt, startedAt, enqueued } = broadcast;
  const { acceptedProved, acceptedPresumed, rejected, expired, cancelled, dead, lastSettledAt } = outcomes;
  const accepted = acceptedProved + acceptedPresumed;
  const queued = Math.max(0, enqueued - accepted - rejected - expired - cancelled - dead);
  const fanOutEndedAt = broadcast.finishedAt;
  const finishedAt = fanOutEndedAt === null || queued > 0 ? null : later(fanOutEndedAt, lastSettledAt);
  const fanOutProgress = fanOutProgressOf(broadcast);
  return {
    broadcastId: id,
    app,
    lane: lane as BroadcastAnswer['lane'],
    state: state === 'finished' && queued > 0 ? 'delivering' : state,
    ...(error === null ? {} : { error }),
    createdAt: createdAt.toISOString(),
    startAt: startAt.toISOString(),
    ...(startedAt === null ? {} : { startedAt: startedAt.toISOString() }),
    ...(fanOutEndedAt === null ? {} : { fanOutEndedAt: fanOutEndedAt.toISOString() }),
    ...(finishedAt === null ? {} : { finishedAt: finishedAt.toISOString() }),
    fanOutProgress: inThousandths(fanOutProgress),
    progress: inThousandths(
      enqueued === 0 ? fanOutProgress : (fanOutProgress * (enqueued - queued)) / enqueued,
    ),
    enqueued,
    queued,
    accepted,
    rejected,
    expired,
    cancelled,
    dead,
  };
}

/** Tokens are as good as random: where the last one lies among all says how much is done. */
function fanOutProgressOf({ state, afterToken }: Broadcast): number {
  if (state === 'finished') return 1;
  if (afterToken.length < 4) return 0;
  return afterToken.readUInt32BE(0) / 0xffff_ffff;
}

/** Rounded down: only what is done is 1. */
function inThousandths(share: number): number {
  return Math.floor(share * 1_000) / 1_000;
}

function later(date: Date, other: Date | null): Date {
  return other !== null && other > date ? other : date;
}
