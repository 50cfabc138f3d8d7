import type { Cluster, Redis } from 'ioredis';
import { z } from 'zod';
import type { BatchId } from '../notification-id.ts';
import {
  cancellationsKey,
  cancellationTimesKey,
  cancelledKey,
  doorbellChannel,
  pausesKey,
} from '../redis/keys.ts';
import { runScript } from '../redis/scripts.ts';

// What the producer tells workers beside jobs: which apps rest, and what is cancelled. Workers read the pauses of an
// app before they take a job of it, and the cancellation of a batch before they write a job of it; the doorbell
// `<app>/control` tells them that something changed.

export interface AppControlOptions {
  readonly redis: Redis | Cluster;
  readonly prefix: string;
}

/**
 * Who paused an app; a closed set, usable as a metric label. Each lifts only its own pause:
 * `operator` by the API or CLI; `credential` and `topic` by workers, until the gateway takes the credential again;
 * `invalid-tokens` by the workers' circuit breaker, until an operator resumes (it may be the wrong environment).
 */
export const pauseCauses = ['operator', 'credential', 'topic', 'invalid-tokens'] as const;
export type PauseCause = (typeof pauseCauses)[number];

const pauseSchema = z.object({ reason: z.string(), sinceMs: z.number(), untilMs: z.number().optional() });

export interface AppPause {
  readonly cause: PauseCause;
  /** For people. */
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
  /** The gateway wants to be left alone until then, epoch milliseconds; absent: it may be asked at any time. */
  readonly untilMs?: number | undefined;
}

/** Pauses an app, or keeps it paused: the first pause of a cause stands, with its time, until its hold has ended. */
export async function pauseApp(options: AppControlOptions, app: string, pause: AppPause): Promise<void> {
  const { cause, reason, sinceMs, untilMs } = pause;
  // A script of Redis reads it, and takes no half of a character.
  const text = JSON.stringify({ reason: reason.toWellFormed(), sinceMs, untilMs });
  const keys = { pauses: pausesKey(options.prefix, app) };
  const args = { cause, pause: text, nowMs: Date.now() };
  const changed = await runScript(options.redis, 'pause', keys, args);
  if (changed === 1) await ringControl(options, app);
}

/** Lifts the pauses of these causes. An app runs again when none is left. */
export async function liftPauses(
  options: AppControlOptions,
  app: string,
  causes: readonly PauseCause[],
): Promise<void> {
  if (causes.length === 0) return;
  await options.redis.hdel(pausesKey(options.prefix, app), ...causes);
  await ringControl(options, app);
}

/** Why an app is paused; empty: it runs. */
export async function readPauses(options: AppControlOptions, app: string): Promise<AppPause[]> {
  const stored = await options.redis.hgetall(pausesKey(options.prefix, app));
  return parsePauses(Object.entries(stored).flat());
}

/** Reads the pauses of an app from the flat list of fields and values that HGETALL gives in a script. */
export function parsePauses(fields: readonly string[]): AppPause[] {
  return pauseCauses.flatMap((cause) => {
    const at = fields.indexOf(cause);
    return at < 0 || at % 2 !== 0 ? [] : [{ cause, ...pauseSchema.parse(JSON.parse(fields[at + 1]!)) }];
  });
}

/** What of a batch is not to be sent any more. */
export interface Cancellation {
  readonly whole: boolean;
  /** Indexes in the batch, from 1. */
  readonly indexes: ReadonlySet<number>;
}

const wholeBatch = '0';

/**
 * Marks a batch (`indexes` absent) or some of its notifications as cancelled, for what has not been written yet. The
 * mark is kept for `expiresInMs`, which has to cover the time until the last job of the batch is taken.
 */
export async function cancel(
  options: AppControlOptions,
  app: string,
  batch: BatchId,
  expiresInMs: number,
  indexes?: readonly number[],
): Promise<void> {
  const members = indexes === undefined ? [wholeBatch] : indexes.map(String);
  if (members.length === 0) return;
  const { prefix } = options;
  const keys = {
    cancelled: cancelledKey(prefix, app, batch),
    cancellations: cancellationsKey(prefix, app),
    times: cancellationTimesKey(prefix, app, batch),
  };
  await runScript(options.redis, 'cancel', keys, { lifeMs: expiresInMs, nowMs: Date.now(), members });
  await ringControl(options, app);
}

/** Reads what is cancelled of a batch; undefined: nothing. */
export async function readCancellation(
  options: AppControlOptions,
  app: string,
  batch: BatchId,
): Promise<Cancellation | undefined> {
  const members = await options.redis.smembers(cancelledKey(options.prefix, app, batch));
  if (members.length === 0) return undefined;
  return { whole: members.includes(wholeBatch), indexes: new Set(members.map(Number)) };
}

/**
 * Reads when it was first asked to cancel notifications of a batch, epoch milliseconds by index; 0: all of it. Kept as long
 * as the marks.
 */
export async function readCancellationTimes(
  options: AppControlOptions,
  app: string,
  batch: BatchId,
): Promise<ReadonlyMap<number, number>> {
  const stored = await options.redis.hgetall(cancellationTimesKey(options.prefix, app, batch));
  return new Map(Object.entries(stored).map(([index, ms]) => [Number(index), Number(ms)]));
}

/** Tells workers to read the state of an app again. A ring may be lost: they also read it from time to time. */
async function ringControl(options: AppControlOptions, app: string): Promise<void> {
  await options.redis.publish(doorbellChannel(options.prefix), `${app}/control`);
}

/** Has every worker that is in trouble with an app ask the gateway now. */
export async function ringResume(options: AppControlOptions, app: string): Promise<void> {
  await options.redis.publish(doorbellChannel(options.prefix), `${app}/resume`);
}
