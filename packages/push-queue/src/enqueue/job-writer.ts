import { setTimeout } from 'node:timers/promises';
import { createRedisBackend, type JobJson, QueueKeys, type RedisQueueBackend } from 'bullmq';
import type { ChainableCommander } from 'ioredis';
import { admitScript, createEpoch } from '../held-scripts.ts';
import type { Lane } from '../lane.ts';
import type { PushJobText } from '../push-job/encode.ts';
import { formatShare } from '../push-job/share.ts';
import { PushQueueError } from '../push-queue-error.ts';
import { type AppQuota, type QueueClass, type QueueSize, quotaLimits } from '../quota.ts';
import { appPrefix, doorbellChannel, heldKey, totalsKey } from '../redis/keys.ts';
import { asPushQueueError, neverSent, RedisLink } from '../redis/link.ts';
import { QueueMemory } from '../redis/queue-memory.ts';
import { redisTroubleOf } from '../redis/trouble.ts';
import { formatTraceparents } from '../traceparent.ts';
import { wayOut } from '../way-out.ts';
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

/** Job events are nobody's business here, and BullMQ keeps 10,000 per queue by default. */
const maxEvents = 100;
const deadJobs = { age: 30 * 86_400, count: 10_000 };

/** KEYS: a record. ARGV: what it is to hold, for how long, ms. Gives what it holds already. */
const rememberScript = `${wayOut}
if redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX') then return false end
return redis.call('GET', KEYS[1])`;
const notAdded = 'not-added';

export class JobWriter {
  readonly #options: JobWriterOptions;
  readonly #shared: RedisLink;
  readonly #sharedBackend: RedisQueueBackend;
  readonly #memory: QueueMemory;
  /** WATCH belongs to a connection: each of these runs one transaction at a time. Opened with the first. */
  readonly #keyed: ExclusiveLink = { name: 'pushfleet:enqueue-keyed', tail: Promise.resolve() };
  /** What is large would hold up all that comes behind it on a connection. */
  readonly #large: ExclusiveLink = { name: 'pushfleet:enqueue-large', tail: Promise.resolve() };
  readonly #queuesWithMeta = new Set<string>();

  constructor(options: JobWriterOptions) {
    this.#options = options;
    this.#shared = new RedisLink(options.redis, 'pushfleet:enqueue');
    this.#sharedBackend = createBackend(this.#shared);
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
      this.#shared.client.eval(rememberScript, 1, key, value, windowMs),
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
      outcome = await this.#transact(this.#shared, this.#sharedBackend, write, deadlineMs);
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
    const { link, backend } = this.#open(on);
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
      outcome = await this.#transact(link, backend, write, deadlineMs);
    }
  }

  async #transact(
    link: RedisLink,
    backend: RedisQueueBackend,
    write: JobWrite,
    deadlineMs: number,
  ): Promise<Outcome> {
    const multi = link.client.multi();
    // Only microtasks run in this await: the connection stays the one that watches.
    const limits = quotaLimits(this.#options.quotaOf(write.app), this.#memory.bytes)[classOf(write)];
    await this.#fill(multi, backend, write, limits);
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

  async #fill(
    multi: ChainableCommander,
    backend: RedisQueueBackend,
    write: JobWrite,
    limits: QueueSize,
  ): Promise<void> {
    const { app, lane, jobs, records = [] } = write;
    const keys = new QueueKeys(appPrefix(this.#options.prefix, app)).getKeys(lane);
    if (!this.#queuesWithMeta.has(`${app}/${lane}`)) {
      multi.hset(keys.meta!, 'opts.maxLenEvents', String(maxEvents));
    }
    const transaction = asTransaction(multi);
    const ids = jobs.map(({ id }) => id);
    await Promise.all(
      jobs.map((job) => backend.addJobToTransaction(transaction, jobJson(job, write), job.id, {}, keys)),
    );
    multi.eval(
      admitScript,
      4 + ids.length + records.length,
      totalsKey(this.#options.prefix, app),
      heldKey(this.#options.prefix, app),
      keys.wait!,
      keys.delayed!,
      ...ids.map((id) => keys[''] + id),
      ...records.map(({ key }) => key),
      `enqueued:${lane}`,
      notificationsOf(write),
      ids.length,
      write.recordWindowMs ?? 0,
      classOf(write),
      limits.notifications,
      limits.bytes,
      createEpoch(),
      ...jobs.flatMap((job) => [job.count, formatShare(job)]),
      ...records.map(({ value }) => value),
    );
    if (write.startMs === undefined) multi.publish(doorbellChannel(this.#options.prefix), `${app}/${lane}`);
  }

  #open(on: ExclusiveLink): NonNullable<ExclusiveLink['opened']> {
    if (on.opened === undefined) {
      const link = new RedisLink(this.#options.redis, on.name, { followsMoves: false });
      on.opened = { link, backend: createBackend(link) };
    }
    return on.opened;
  }
}

/** A connection that runs one transaction at a time. */
interface ExclusiveLink {
  readonly name: string;
  /** Ends with the last transaction that was asked for. */
  tail: Promise<unknown>;
  opened?: { readonly link: RedisLink; readonly backend: RedisQueueBackend };
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

/** One backend serves all queues: `addJobToTransaction` takes the keys of each, as BullMQ's own flows do. */
function createBackend(link: RedisLink): RedisQueueBackend {
  const backend = createRedisBackend('push', {
    connection: link.client,
    // Neither waits for Redis nor asks it anything: a link that is down fails calls, not the start.
    skipVersionCheck: true,
    skipWaitingForReady: true,
  });
  backend.on('error', () => undefined);
  keepAddScripts(link.client);
  return backend;
}

/** Each transaction copies every script that its client knows: of BullMQ's fifty, these are run here. */
const addScripts = /^add(Standard|Delayed)Job\b/;

function keepAddScripts({ scriptsSet }: { readonly scriptsSet: Record<string, unknown> }): void {
  for (const name of Object.keys(scriptsSet)) if (!addScripts.test(name)) delete scriptsSet[name];
}

/** What BullMQ's `multi()` gives: the same object with a way to run its scripts by name. */
function asTransaction(multi: ChainableCommander): Parameters<RedisQueueBackend['addJobToTransaction']>[0] {
  const commands = multi as unknown as Record<string, (args: unknown[]) => unknown>;
  const transaction = multi as unknown as { runCommand: (name: string, args: unknown[]) => unknown };
  transaction.runCommand = (name, args) => {
    commands[name]!(args);
    return multi;
  };
  return multi as unknown as Parameters<RedisQueueBackend['addJobToTransaction']>[0];
}

function jobJson({ id, text, enqueuedAtMs }: PushJobText, { startMs, traceparents }: JobWrite): JobJson {
  const delay = startMs === undefined ? 0 : Math.max(0, startMs - enqueuedAtMs);
  return {
    id,
    name: 'push',
    // It goes to Redis as it is.
    data: text as string,
    opts: {
      delay,
      removeOnComplete: true,
      removeOnFail: deadJobs,
      jobId: id,
      ...(traceparents === undefined ? {} : { telemetry: { metadata: formatTraceparents(traceparents) } }),
    },
    timestamp: enqueuedAtMs,
    progress: 0,
    attemptsMade: 0,
    attemptsStarted: 0,
    stalledCounter: 0,
    failedReason: '',
    returnvalue: '',
  };
}
