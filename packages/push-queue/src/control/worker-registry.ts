import { z } from 'zod';
import { workerKey, workersKey } from '../redis/keys.ts';
import { runScript } from '../redis/scripts.ts';
import type { AppControlOptions, AppPause } from './app-control.ts';

// Which workers are alive, and what each of them says of its apps. A worker writes one key, however many apps it has,
// and writes it anew before it expires: what a worker says ends with it. Who reads the keys decides for the fleet
// (docs/decisions/0023-pauses-of-a-fleet.md).

/**
 * What keeps a worker from sending for an app; a closed set, usable as a metric label. `credential` and `topic`: the
 * gateway said so. `worker`: authorities, files, the clock or the way to the gateway, which another worker may have
 * in order.
 */
export const troubleKinds = ['credential', 'topic', 'worker'] as const;
export type TroubleKind = (typeof troubleKinds)[number];

/** Why one worker takes no jobs of an app. Times are epoch milliseconds. */
export interface AppTrouble {
  readonly about: TroubleKind;
  /** For people. */
  readonly reason: string;
  readonly sinceMs: number;
  /** When the gateway was last asked whether the trouble is over. */
  readonly checkedAtMs: number;
  /** When it is asked again. */
  readonly untilMs: number;
  /** The gateway wants to be left alone until then. */
  readonly isHold: boolean;
}

/** What is the rule while an app is slowed: answers such as 503, no answers, connections that break. A closed set. */
export const slowCauses = ['answers', 'timeouts', 'resets'] as const;
export type SlowCause = (typeof slowCauses)[number];

/** Why one worker sends only probes of an app. */
export interface AppSlowed {
  readonly cause: SlowCause;
  /** Epoch milliseconds. */
  readonly sinceMs: number;
}

/** A worker that is alive. */
export interface FleetWorker {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** When it started, epoch milliseconds. */
  readonly sinceMs: number;
  /** The apps that it serves. */
  readonly apps: readonly string[];
  /** By app; absent: none. */
  readonly troubles: Readonly<Record<string, AppTrouble>>;
  /** By app; absent: not slowed. */
  readonly slowed: Readonly<Record<string, AppSlowed>>;
}

const workerSchema = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  sinceMs: z.number(),
  apps: z.array(z.string()),
  troubles: z.record(
    z.string(),
    z.object({
      about: z.enum(troubleKinds),
      reason: z.string(),
      sinceMs: z.number(),
      checkedAtMs: z.number(),
      untilMs: z.number(),
      isHold: z.boolean(),
    }),
  ),
  slowed: z.record(z.string(), z.object({ cause: z.enum(slowCauses), sinceMs: z.number() })),
});

/** Says that a worker is alive, and what it says; good for `lifeMs`. */
export async function beatWorker(
  options: AppControlOptions,
  worker: FleetWorker,
  lifeMs: number,
): Promise<void> {
  const { redis, prefix } = options;
  const keys = { workers: workersKey(prefix), worker: workerKey(prefix, worker.id) };
  await runScript(redis, 'beat', keys, { id: worker.id, lifeMs, words: JSON.stringify(worker) });
}

/** Takes a worker that stops out of the list, with what it said. */
export async function removeWorker({ redis, prefix }: AppControlOptions, id: string): Promise<void> {
  await redis.del(workerKey(prefix, id));
  await redis.zrem(workersKey(prefix), id);
}

/** The workers that are alive, the oldest first. */
export async function readWorkers({ redis, prefix }: AppControlOptions): Promise<FleetWorker[]> {
  const keys = { workers: workersKey(prefix) };
  const texts = (await runScript(redis, 'read-workers', keys, { base: workerKey(prefix, '') })) as string[];
  return texts
    .flatMap((text) => {
      const read = workerSchema.safeParse(JSON.parse(text));
      return read.success ? [read.data] : [];
    })
    .toSorted((one, other) => one.sinceMs - other.sinceMs || one.id.localeCompare(other.id));
}

/**
 * What the fleet is to be paused for, by what its workers say of an app: no worker that serves it can send, and the
 * gateway itself has refused the credential or the topic. Workers in trouble of their own cannot send, and have no
 * word from the gateway: they neither ask for a pause nor prevent one. Undefined: no pause.
 */
export function agreedPause(app: string, workers: readonly FleetWorker[]): AppPause | undefined {
  const troubles = workers.filter(({ apps }) => apps.includes(app)).map((worker) => worker.troubles[app]);
  if (troubles.some((trouble) => trouble === undefined)) return undefined;
  const said = troubles.filter((trouble) => trouble !== undefined && trouble.about !== 'worker');
  const first = said.toSorted((one, other) => one!.sinceMs - other!.sinceMs)[0];
  if (first === undefined || first.about === 'worker') return undefined;
  const { about: cause, reason, sinceMs } = first;
  // Of several holds the first to end is the one that the gateway asked for; the others began after it, with a restart.
  const ends = said.flatMap((trouble) => (trouble!.isHold ? [trouble!.untilMs] : []));
  return { cause, reason, sinceMs, ...(ends.length === 0 ? {} : { untilMs: Math.min(...ends) }) };
}
