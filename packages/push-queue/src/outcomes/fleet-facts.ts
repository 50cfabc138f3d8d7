import type { Redis } from 'ioredis';
import { type AppPause, readPauses } from '../control/app-control.ts';
import { type HeldCounts, parseHeld } from '../held.ts';
import { type Lane, lanes } from '../lane.ts';
import type { TrimmedLetters } from '../push-job/dead-letter.ts';
import { scheduledDelayMs } from '../redis/bullmq.ts';
import { deadLetterKeys, defaultRedisPrefix, heldKey, queueKeys, totalsKey } from '../redis/keys.ts';
import { asPushQueueError, RedisLink } from '../redis/link.ts';
import { type NodeMemory, readRedisMemory } from '../redis/memory.ts';
import { runScript } from '../redis/scripts.ts';
import { redisTroubleOf } from '../redis/trouble.ts';
import { type SettledOutcome, settledOutcomes } from '../settled-outcome.ts';
import { type RecountResult, recountApp } from './recount.ts';

// What Redis knows of the whole fleet, whichever process did it.

export interface LaneFacts {
  /** Notifications since the app first sent. */
  readonly enqueued: number;
  readonly settled: Readonly<Record<SettledOutcome, number>>;
  /** Push jobs. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  /** Since when the push job that waits longest could have been taken, epoch milliseconds. */
  readonly oldestWaitingMs: number | undefined;
}

export interface AppFacts {
  readonly app: string;
  readonly lanes: Readonly<Record<Lane, LaneFacts>>;
  readonly pauses: readonly AppPause[];
  readonly deadLetters: LetterFacts;
  /** What its quota is held against. */
  readonly held: HeldCounts;
}

/** The dead letters of an app. */
export interface LetterFacts {
  readonly count: number;
  readonly bytes: number;
  /** What the retention has taken since the app first sent. */
  readonly trimmed: TrimmedLetters;
}

/** Reads facts on a connection of its own. */
export class FleetFacts {
  readonly #link: RedisLink;
  readonly #prefix: string;

  /** Opens a connection; never waits for it. */
  constructor(options: { readonly redis: string | Redis; readonly prefix?: string }) {
    this.#link = new RedisLink(options.redis, 'pushfleet:facts');
    this.#prefix = options.prefix ?? defaultRedisPrefix;
  }

  /** Redis answered last time, and is connected. */
  get isReady(): boolean {
    return this.#link.isReady;
  }

  /** Of the apps that could be asked: in a cluster, one node's trouble is that of its own apps. @throws PushQueueError */
  async read(apps: readonly string[], timeoutMs = 10_000): Promise<AppFacts[]> {
    await this.#link.ready(timeoutMs);
    return this.#link.answer(timeoutMs, async () => {
      const settled = await Promise.allSettled(apps.map((app) => this.#readApp(app)));
      const facts = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const failure = settled.find((one) => one.status === 'rejected');
      if (failure !== undefined && facts.length === 0) throw failure.reason as Error;
      return facts;
    });
  }

  /** Only the pauses. @throws PushQueueError */
  async pauses(apps: readonly string[], timeoutMs = 10_000): Promise<Map<string, readonly AppPause[]>> {
    await this.#link.ready(timeoutMs);
    const control = { redis: this.#link.client, prefix: this.#prefix };
    return this.#link.answer(
      timeoutMs,
      async () =>
        new Map(await Promise.all(apps.map(async (app) => [app, await readPauses(control, app)] as const))),
    );
  }

  /** Of one server, or of the primaries of a cluster; empty where the user may not ask. @throws PushQueueError */
  async memory(timeoutMs = 10_000): Promise<NodeMemory[]> {
    await this.#link.ready(timeoutMs);
    return this.#link.answer(timeoutMs, () => readRedisMemory(this.#link.client).catch(noneWithoutRights));
  }

  /** Counts what lies in the queues of an app anew. Takes as long as there are push jobs. @throws PushQueueError */
  async recount(app: string, timeoutMs = 10_000): Promise<RecountResult> {
    await this.#link.ready(timeoutMs, heldKey(this.#prefix, app));
    try {
      return await recountApp(this.#link.client, this.#prefix, app);
    } catch (error) {
      throw asPushQueueError(error);
    }
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #readApp(app: string): Promise<AppFacts> {
    const { client } = this.#link;
    const control = { redis: client, prefix: this.#prefix };
    const [{ totals, held, queues }, pauses, deadLetters] = await Promise.all([
      this.#readCounts(app),
      readPauses(control, app),
      this.#readLetters(app),
    ]);
    const factsOf = async (lane: Lane): Promise<LaneFacts> => {
      const { oldest, ...jobs } = queues[lane];
      return {
        enqueued: Number(totals[`enqueued:${lane}`] ?? 0),
        settled: Object.fromEntries(
          settledOutcomes.map((outcome) => [outcome, Number(totals[`${outcome}:${lane}`] ?? 0)]),
        ) as Record<SettledOutcome, number>,
        ...jobs,
        oldestWaitingMs:
          oldest === null
            ? undefined
            : await this.#waitsSince(queueKeys(this.#prefix, app, lane).base + oldest),
      };
    };
    const [transactional, bulk] = await Promise.all([factsOf('transactional'), factsOf('bulk')]);
    return { app, lanes: { transactional, bulk }, pauses, deadLetters, held: parseHeld(held, totals) };
  }

  async #readCounts(app: string) {
    const keys = {
      totals: totalsKey(this.#prefix, app),
      counts: heldKey(this.#prefix, app),
      queues: lanes.flatMap((lane) => {
        const { wait, active, delayed } = queueKeys(this.#prefix, app, lane);
        return [wait, active, delayed];
      }),
    };
    const [totals, held, ...queues] = (await runScript(this.#link.client, 'count', keys, {})) as [
      string[],
      string[],
      ...[number, number, number, string | null][],
    ];
    const queueAt = (place: number) => {
      const [waiting, active, delayed, oldest] = queues[place]!;
      return { waiting, active, delayed, oldest };
    };
    return {
      totals: Object.fromEntries(pairsOf(totals)) as Readonly<Record<string, string>>,
      held: Object.fromEntries(pairsOf(held)) as Readonly<Record<string, string>>,
      queues: { transactional: queueAt(0), bulk: queueAt(1) } satisfies Record<Lane, unknown>,
    };
  }

  async #readLetters(app: string): Promise<LetterFacts> {
    const { index, sums } = deadLetterKeys(this.#prefix, app);
    const [count, [bytes, ...trimmed]] = await Promise.all([
      this.#link.client.zcard(index),
      this.#link.client.hmget(sums, 'bytes', 'trimmed-age', 'trimmed-bytes', 'trimmed-notifications'),
    ]);
    const [byAge = 0, forRoom = 0, notifications = 0] = trimmed.map(Number);
    return { count, bytes: Number(bytes), trimmed: { age: byAge, bytes: forRoom, notifications } };
  }

  /** What was scheduled waits from its time on, and not from when it was enqueued. */
  async #waitsSince(jobKey: string): Promise<number | undefined> {
    const [timestamp, opts] = await this.#link.client.hmget(jobKey, 'timestamp', 'opts');
    if (typeof timestamp !== 'string') return undefined;
    return Number(timestamp) + scheduledDelayMs(opts);
  }
}

/** How full Redis is, is good to know and nothing to fail for. */
function noneWithoutRights(error: unknown): [] {
  if (redisTroubleOf(error) === 'rights') return [];
  throw error;
}

/** Fields and values in turn, as HGETALL gives them in a script. */
function* pairsOf(list: readonly string[]): Generator<readonly [string, string]> {
  for (let at = 0; at < list.length; at += 2) yield [list[at]!, list[at + 1]!];
}
