import { randomBytes } from 'node:crypto';
import { type Lane, lanes } from './lane.ts';
import { type QueueSizes, queueClasses } from './quota.ts';
import { settledOutcomes } from './settled-outcome.ts';

/** Of counts; no two have the same (`redis/scripts/include/counts.lua`). */
export function createEpoch(): string {
  return randomBytes(4).toString('hex');
}

/** What is counted of an app's queues. */
export interface HeldCounts {
  /** Never less than 0. */
  readonly sizes: QueueSizes;
  /** By how many notifications they differ from the sums of the app now; 0: they do not. */
  readonly apart: number;
  /** By how many they did when they were last counted: push jobs that somebody has removed by hand. */
  readonly wereApart: number;
  /** A count is below 0, which cannot be. */
  readonly isNegative: boolean;
}

/** Reads the hashes at `heldKey` and `totalsKey`, of one moment. */
export function parseHeld(
  held: Readonly<Record<string, string>>,
  totals: Readonly<Record<string, string>>,
): HeldCounts {
  const counted = (name: string) => Number(held[name] ?? 0);
  const sizeOf = (each: string) => ({
    notifications: Math.max(0, counted(`${each}-notifications`)),
    bytes: Math.max(0, counted(`${each}-bytes`)),
  });
  const queued = lanes.reduce((sum, lane) => sum + queuedOf(totals, lane), 0);
  const all = queueClasses.flatMap((each) => [counted(`${each}-notifications`), counted(`${each}-bytes`)]);
  return {
    sizes: { queued: sizeOf('queued'), scheduled: sizeOf('scheduled') },
    apart: queued - counted('queued-notifications') - counted('scheduled-notifications'),
    wereApart: counted('apart'),
    isNegative: all.some((count) => count < 0),
  };
}

/** Notifications of a lane without an outcome, by the sums. */
function queuedOf(totals: Readonly<Record<string, string>>, lane: Lane): number {
  const sum = (name: string) => Number(totals[`${name}:${lane}`] ?? 0);
  return settledOutcomes.reduce((left, outcome) => left - sum(outcome), sum('enqueued'));
}

/** Fields of the sums with the signs by which what is queued follows from them. */
export const queuedTerms: readonly string[] = lanes.flatMap((lane) => [
  `+enqueued:${lane}`,
  ...settledOutcomes.map((outcome) => `-${outcome}:${lane}`),
]);
