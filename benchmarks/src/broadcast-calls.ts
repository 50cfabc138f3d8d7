import { setTimeout as delay } from 'node:timers/promises';
import { benchApp } from './fleet.ts';

/** A producer takes sends before it has reached Postgres. */
export async function untilDatabaseIsReached(producerUrl: string): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!(await fetch(`${producerUrl}/v1/broadcasts?app=${benchApp}`)).ok) {
    if (performance.now() > deadlineMs) throw new Error('The producer does not reach Postgres');
    await delay(50);
  }
}

/** Starts a broadcast to all devices of the app; gives its id. */
export async function startBroadcast(producerUrl: string): Promise<string> {
  const created = await fetch(`${producerUrl}/v1/broadcasts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: benchApp, audience: { all: true }, alert: `Hello at ${performance.now()}` }),
  });
  if (created.status !== 202) throw new Error(`${created.status} ${await created.text()}`);
  return ((await created.json()) as { broadcastId: string }).broadcastId;
}

/** What the API tells of a broadcast, as far as the benchmarks look at it. */
export interface BroadcastProgress {
  readonly state: string;
  readonly enqueued: number;
  readonly accepted: number;
  readonly fanOutEndedAt?: string;
  /** Everything has an outcome, and Postgres knows. */
  readonly finishedAt?: string;
}

export async function readBroadcast(producerUrl: string, id: string): Promise<BroadcastProgress> {
  const response = await fetch(`${producerUrl}/v1/broadcasts/${id}`);
  return (await response.json()) as BroadcastProgress;
}
