import { setTimeout } from 'node:timers/promises';
import type { ChainableCommander } from 'ioredis';
import { createEpoch } from '../held.ts';
import type { Lane } from '../lane.ts';
import type { PushJobText } from '../push-job/encode.ts';
import { formatShare } from '../push-job/share.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { type AppQuota, type QueueClass, type QueueSize, quotaLimits } from '../quota.ts';
import { JobAdder, limitEvents, type NewJob } from '../redis/bullmq.ts';
import { appPrefix, doorbellChannel, heldKey, queueKeys, totalsKey } from '../redis/keys.ts';
import { asPushQueueError, neverSent, RedisLink } from '../redis/link.ts';
import { QueueMemory } from '../redis/queue-memory.ts';
import { addScript, runScript } from '../redis/scripts.ts';
import { redisTroubleOf } from '../redis/trouble.ts';
import { formatTraceparents } from '../traceparent.ts';
import { asQuotaError } from './quota-error.ts';

// Everything that one call stores lies in the slot of one app and is written in one MULTI: its jobs, its records of
// idempotency, its share of the app's sums, the ring of the doorbell. docs/decisions/0010-enqueueing-once.md argues why that holds.

export interface JobWriterOptions {
  readonly redis: ConstructorParameters<typeof RedisLink>[0];
  readonly prefix: string;
  /** For everything a write does, milliseconds. */
  readonly writeTimeoutMs: number;
  /** What an app may have in its queues. */
  readonly quotaOf: (app: string) => AppQuota | undefined;
}

/** Jobs of one app and lane, and what is to be remembered of them. */
export interface JobWrite {
  readonly app: string;
  readonly lane: Lane;
  readonly jobs: readonly PushJobText[];
  /** Epoch milliseconds before which no worker takes them. */
  readonly startMs?: number;
  readonly records?: readonly { readonly key: string; readonly value: string }[];
  readonly recordWindowMs?: number;
  /** Trace contexts of those whose notifications these are; one or more. */
  readonly traceparents?: readonly string[];
}

/**
 * Decides what to write, given the records that are stored under its keys; undefined: nothing is left to write.
 * Called again when somebody else wrote one of the records in between.
 */
export type KeyedWrite = (stored: readonly (string | null)[]) => JobWrite | undefined;

type Outcome = 'written' | 'nothing-written';

/** How long to wait while keys move between nodes of a cluster, milliseconds. */
const movePauseMs = 20;

const notAdded = 'not-added';

export class JobWriter {
  readonly #options: JobWriterOptions;
  readonly #shared: RedisLink;
  readonly #sharedAdder: JobAdder;
  readonly #memory: QueueMemory;
  /** WATCH belongs to a connection: each of these runs one transaction at a time. Opened with the first. */
  readonly #keyed: ExclusiveLink = { name: 'pushfleet:enqueue-keyed', tail: Promise.resolve() };
  /** What is large would hold up all that comes behind it on a connection. */
  readonly #large: ExclusiveLink = { name: 'pushfleet:enqueue-large', tail: Promise.resolve() };
  readonly #queuesWithMeta = new Set<string>();

  constructor(options: JobWriterOptions) {
    this.#options = options;
    this.#shared = new RedisLink(options.redis, 'pushfleet:enqueue');
    this.#sharedAdder = new JobAdder(this.#shared.client);
    this.#memory = new QueueMemory(this.#shared.client);
  }

  /** Why Redis takes no writes, though it can be reached; undefined: it does, as far as is known. */
  get refusal(): string | undefined {
    return this.#shared.refusal;
  }

  /** Reads one key. Throws `PushQueueError`. */
  async read(key: string): Promise<string | null> {
    const deadlineMs = performance.now() + this.#options.writeTimeoutMs;
    await this.#shared.ready(deadlineMs - performance.now(), key);
    return this.#shared.answer(deadlineMs - performance.now(), () => this.#shared.client.get(key));
  }

  /** Stores a record, unless there is one: then gives that. Throws `PushQueueError`. */
  async remember(key: string, value: string, windowMs: number): Promise<string | null> {
    const deadlineMs = performance.now() + this.#options.writeTimeoutMs;
    await this.#shared.ready(deadlineMs - performance.now(), key);
    const found = await this.#shared.answer(deadlineMs - performance.now(), () =>
      runScript(this.#shared.client, 'remember', { record: key }, { value, lifeMs: windowMs }),
    );
    return found as string | null;
  }

  /** Resolves when Redis has all of it. Throws `PushQueueError`. */
  async write(write: JobWrite): Promise<void> {
    const near = totalsKey(this.#options.prefix, write.app);
    if (isLarge(write)) return this.#writeInTurn(this.#large, near, [], () => write);
    const deadlineMs = performance.now() + this.#options.writeTimeoutMs;
    let outcome: Outcome;
    do {
      await this.#shared.ready(deadlineMs - performance.now(), near);
      await this.#memory.check();
      outcome = await this.#transact(this.#shared, this.#sharedAdder, write, deadlineMs);
    } while (outcome !== 'written');
  }

  /**
   * Writes what `decide` says, unless a record under one of `keys` changes while it is being decided; then it is
   * asked again. Resolves when Redis has all of it. Throws `PushQueueError`, and what `decide` throws.
   * @param jobs What `decide` writes at most.
   */
  async writeKeyed(
    keys: readonly string[],
    decide: KeyedWrite,
    jobs: readonly PushJobText[] = [],
  ): Promise<void> {
    return this.#writeInTurn(isLarge({ jobs }) ? this.#large : this.#keyed, keys[0]!, keys, decide);
  }

  async close(): Promise<void> {
    const exclusive = [this.#keyed, this.#large];
    await Promise.all(exclusive.map(({ tail }) => tail));
    await Promise.all([this.#shared.close(), ...exclusive.map(({ opened }) => opened?.link.close())]);
  }

  /** @param near A key of the same slot. */
  #writeInTurn(on: ExclusiveLink, near: string, keys: readonly string[], decide: KeyedWrite): Promise<void> {
    const deadlineMs = performance.now() + this.#options.writeTimeoutMs;
    const turn = on.tail.then(() => this.#writeWatching(on, near, keys, decide, deadlineMs));
    on.tail = turn.catch(() => undefined);
    return turn;
  }

  async #writeWatching(
    on: ExclusiveLink,
    near: string,
    keys: readonly string[],
    decide: KeyedWrite,
    deadlineMs: number,
  ): Promise<void> {
    const { link, adder } = this.#open(on);
    let outcome: Outcome = 'nothing-written';
    while (outcome !== 'written') {
      await link.ready(deadlineMs - performance.now(), near);
      const connection = link.connectionCount;
      let stored: (string | null)[] = [];
      try {
        if (keys.length > 0)
          [, stored] = await link.answer(deadlineMs - performance.now(), () =>
            Promise.all([link.client.watch(...keys), link.client.mget(...keys)]),
          );
      } catch (error) {
        if (redisTroubleOf(error) !== 'moved') throw error;
        // Nothing has been written. The keys are on their way to another node, or there already.
        await setTimeout(movePauseMs);
        continue;
      }
      const write = decide(stored);
      if (write === undefined) {
        await link.answer(deadlineMs - performance.now(), () => link.client.unwatch());
        return;
      }
      await this.#memory.check();
      // A new connection watches nothing.
      if (link.connectionCount !== connection) continue;
      outcome = await this.#transact(link, adder, write, deadlineMs);
    }
  }

  async #transact(link: RedisLink, adder: JobAdder, write: JobWrite, deadlineMs: number): Promise<Outcome> {
    const multi = link.client.multi();
    // Only microtasks run in this await: the connection stays the one that watches.
    const limits = quotaLimits(this.#options.quotaOf(write.app), this.#memory.bytes)[classOf(write)];
    await this.#fill(multi, adder, write, limits);
    let results: Awaited<ReturnType<typeof multi.exec>>;
    try {
      results = await link.answer(deadlineMs - performance.now(), () => multi.exec());
    } catch (error) {
      if (neverSent(error)) return 'nothing-written';
      if (redisTroubleOf(error) === 'moved') {
        await setTimeout(movePauseMs);
        return 'nothing-written';
      }
      throw error;
    }
    // A watched key has changed.
    if (results === null) return 'nothing-written';
    for (const [error, result] of results) {
      if (error?.message.startsWith('NOSCRIPT')) {
        // BullMQ's scripts are unknown, after SCRIPT FLUSH or because the transaction that would have brought them
        // was dropped: no job was added. A new connection brings them.
        link.reset();
        return 'nothing-written';
      }
      if (error !== null) {
        // The whole transaction is refused for it: nothing was written.
        link.heed(error);
        throw asPushQueueError(error);
      }
      if (result === notAdded) throw new PushQueueError('redis-unavailable', 'Redis did not add the jobs');
      if (Array.isArray(result)) {
        const [notifications, bytes, askedBytes] = result as [number, number, number];
        const asked = { notifications: notificationsOf(write), bytes: askedBytes };
        throw asQuotaError(write.app, classOf(write), limits, { notifications, bytes }, asked);
      }
    }
    link.wrote();
    this.#queuesWithMeta.add(`${write.app}/${write.lane}`);
    return 'written';
  }

  async #fill(multi: ChainableCommander, adder: JobAdder, write: JobWrite, limits: QueueSize): Promise<void> {
    const { app, lane, jobs, records = [] } = write;
    const { prefix } = this.#options;
    const { base, wait, delayed, meta } = queueKeys(prefix, app, lane);
    if (!this.#queuesWithMeta.has(`${app}/${lane}`)) limitEvents(multi, meta);
    const added = jobs.map((job) => newJob(job, write));
    await adder.add(multi, { prefix: appPrefix(prefix, app), name: lane }, added);
    addScript(
      multi,
      'admit',
      {
        sums: totalsKey(prefix, app),
        counts: heldKey(prefix, app),
        wait,
        delayed,
        jobs: added.map(({ id }) => base + id),
        records: records.map(({ key }) => key),
      },
      {
        sumField: `enqueued:${lane}`,
        notifications: notificationsOf(write),
        jobCount: jobs.length,
        recordLifeMs: write.recordWindowMs ?? 0,
        class: classOf(write),
        maxNotifications: limits.notifications,
        maxBytes: limits.bytes,
        newEpoch: createEpoch(),
        shares: jobs.flatMap((job) => [job.count, formatShare(job)]),
        values: records.map(({ value }) => value),
      },
    );
    if (write.startMs === undefined) multi.publish(doorbellChannel(this.#options.prefix), `${app}/${lane}`);
  }

  #open(on: ExclusiveLink): NonNullable<ExclusiveLink['opened']> {
    if (on.opened === undefined) {
      const link = new RedisLink(this.#options.redis, on.name, { followsMoves: false });
      on.opened = { link, adder: new JobAdder(link.client) };
    }
    return on.opened;
  }
}

/** A connection that runs one transaction at a time. */
interface ExclusiveLink {
  readonly name: string;
  /** Ends with the last transaction that was asked for. */
  tail: Promise<unknown>;
  opened?: { readonly link: RedisLink; readonly adder: JobAdder };
}

/** Characters of the jobs of one write. */
const largeLength = 256 * 1024;

function isLarge({ jobs }: Pick<JobWrite, 'jobs'>): boolean {
  return jobs.reduce((sum, { text }) => sum + text.length, 0) > largeLength;
}

function classOf({ startMs }: JobWrite): QueueClass {
  return startMs === undefined ? 'queued' : 'scheduled';
}

function notificationsOf({ jobs }: JobWrite): number {
  return jobs.reduce((sum, job) => sum + job.count, 0);
}

function newJob({ id, text, enqueuedAtMs }: PushJobText, { startMs, traceparents }: JobWrite): NewJob {
  return {
    id,
    data: text,
    enqueuedAtMs,
    delayMs: startMs === undefined ? 0 : Math.max(0, startMs - enqueuedAtMs),
    telemetry: traceparents === undefined ? undefined : formatTraceparents(traceparents),
  };
}
