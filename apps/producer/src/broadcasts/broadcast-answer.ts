import type { Broadcast, BroadcastOutcomes } from '@pushfleet/token-store';
import type { BroadcastAnswer } from '../schemas/broadcast-schemas.ts';

/** A broadcast as the API tells it: its fan-out, and what has become of what was enqueued. */
export function answerOf(broadcast: Broadcast, outcomes: BroadcastOutcomes): BroadcastAnswer {
  const { id, app, lane, state, error, createdAt, startAt, startedAt, enqueued } = broadcast;
  const { delivery, audience } = broadcast;
  const { acceptedProved, acceptedPresumed, rejected, expired, cancelled, dead, lastSettledAt } = outcomes;
  const accepted = acceptedProved + acceptedPresumed;
  const queued = Math.max(0, enqueued - accepted - rejected - expired - cancelled - dead);
  const fanOutEndedAt = broadcast.finishedAt;
  const finishedAt = fanOutEndedAt === null || queued > 0 ? null : later(fanOutEndedAt, lastSettledAt);
  const fanOutProgress = fanOutProgressOf(broadcast);
  const says = saidBy(delivery);
  return {
    broadcastId: id,
    app,
    lane: lane as BroadcastAnswer['lane'],
    ...(says === undefined ? {} : { says }),
    // Stored without conditions where it is everybody.
    audience: (Object.keys(audience).length === 0 ? { all: true } : audience) as BroadcastAnswer['audience'],
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

/** Characters of what is shown. */
const maxSaid = 200;

/** Title and body of the alert, from content fields or a whole payload. */
function saidBy(delivery: Broadcast['delivery']): string | undefined {
  const payload = typeof delivery.payload === 'string' ? parsed(delivery.payload) : delivery.payload;
  const alert = delivery.alert ?? field(field(payload, 'aps'), 'alert');
  const parts = typeof alert === 'string' ? [alert] : [field(alert, 'title'), field(alert, 'body')];
  const text = parts.filter((part) => typeof part === 'string' && part !== '').join(': ');
  if (text === '') return undefined;
  const characters = [...text];
  return characters.length <= maxSaid ? text : `${characters.slice(0, maxSaid - 1).join('')}…`;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
