import { createRedisBackend, type JobJson, QueueKeys, type RedisQueueBackend } from 'bullmq';
import type { ChainableCommander, Redis } from 'ioredis';
import { allowOom } from './scripts.ts';

// The one place that knows BullMQ. Its documented interface adds jobs one transaction each, and takes them with a worker
// of its own; here they are added in a transaction of the caller's, and taken, put off and ended one by one over one
// connection for all queues. That needs parts of BullMQ that are not documented: `test/bullmq.test.ts` tries each.

/** A job to be added. */
export interface NewJob {
  readonly id: string;
  /** Text, or its bytes; goes to Redis as it is. */
  readonly data: string | Buffer;
  /** Epoch milliseconds. */
  readonly enqueuedAtMs: number;
  /** How long after it was enqueued it can be taken, milliseconds; 0: at once. */
  readonly delayMs: number;
  /** Kept beside the job, and given to whoever takes it. */
  readonly telemetry: string | undefined;
}

/** A job that was taken. */
interface ActiveJob {
  readonly id: string;
  readonly name: string;
  readonly data: string;
  /** As it was written, parsed; 0: nobody has written any. */
  readonly progress: unknown;
  /** When it could first be taken: when it was enqueued, or the time it was scheduled for. Epoch milliseconds. */
  readonly availableAtMs: number;
  /** Times it has been taken, this one included. */
  readonly timesTaken: number;
  readonly telemetry: string | undefined;
}

export type Taken =
  | { readonly kind: 'taken'; readonly job: ActiveJob }
  /** `nextAtMs`: when the first of the delayed jobs is due, epoch milliseconds. */
  | { readonly kind: 'empty'; readonly nextAtMs: number | undefined }
  /** A job was taken that BullMQ cannot read; which one, it does not say. */
  | { readonly kind: 'unreadable' };

/**
 * What became of a job that only the holder of its lock may move. `lost`: there is no lock, or it is another's. `done`:
 * it was moved now, or by an earlier try whose answer was lost.
 */
export type MoveResult = 'done' | 'lost';

/** Nobody reads the events of jobs here, and BullMQ keeps 10,000 per queue by default. */
const maxEvents = 100;
const deadJobs = { age: 30 * 86_400, count: 10_000 };

/** Neither waits for Redis nor asks it anything: a connection that is down fails calls, not the start. */
const quietStart = { skipVersionCheck: true, skipWaitingForReady: true } as const;

/** What a client of ioredis knows of the scripts that were defined on it, by the names of the commands that run them. */
interface ScriptedClient {
  readonly scriptsSet: Record<string, { readonly lua: string; readonly numberOfKeys: number }>;
}

type Commands = Readonly<Record<string, (args: unknown[]) => unknown>>;
type Runner = Parameters<RedisQueueBackend['execCommand']>[0];
type Transaction = Parameters<RedisQueueBackend['addJobToTransaction']>[0];

/** Adds jobs to queues in transactions of the caller's, on one connection. */
export class JobAdder {
  readonly #backend: RedisQueueBackend;

  constructor(client: Redis) {
    this.#backend = createBackend(client, {});
    keepAddScripts(client);
  }

  /**
   * Puts into a transaction that jobs are added to a queue. Awaits only microtasks, so that the connection stays the one
   * that watches.
   * @param queue `prefix`: of the queue's app
   */
  async add(
    multi: ChainableCommander,
    queue: { readonly prefix: string; readonly name: string },
    jobs: readonly NewJob[],
  ): Promise<void> {
    const keys = new QueueKeys(queue.prefix).getKeys(queue.name);
    const transaction = asTransaction(multi);
    // The keys of each queue are handed over, as BullMQ's own flows do: one backend serves all.
    await Promise.all(
      jobs.map((job) => this.#backend.addJobToTransaction(transaction, jobJson(job), job.id, {}, keys)),
    );
  }
}

/** Puts into a transaction what a queue that is new to this process needs. @param metaKey Of the queue */
export function limitEvents(multi: ChainableCommander, metaKey: string): void {
  multi.hset(metaKey, 'opts.maxLenEvents', String(maxEvents));
}

export interface TakerOptions {
  /** How long the lock of a job lives without renewal, milliseconds. */
  readonly lockDurationMs: number;
  /** How often the fleet looks for jobs whose worker died, milliseconds. */
  readonly stalledIntervalMs: number;
}

/** Takes and moves jobs of any queues, on one connection. Its methods reject with what the client rejects with. */
export class JobTaker {
  readonly #backend: RedisQueueBackend;
  readonly #runner: Runner;

  constructor(client: Redis, { lockDurationMs, stalledIntervalMs }: TakerOptions) {
    this.#backend = createBackend(client, {
      lockDuration: lockDurationMs,
      stalledInterval: stalledIntervalMs,
      // A crash of ours is no fault of the job: it is never failed for having been active when a worker died.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    });
    allowWhenFull(client);
    const commands = client as unknown as Commands;
    this.#runner = {
      runCommand: (name: string, args: unknown[]) => commands[name]!(args),
    } as unknown as Runner;
  }

  async ready(): Promise<void> {
    await this.#backend.waitUntilReady();
  }

  /** @param queue `prefix`: of the queue's app */
  queue(queue: { readonly prefix: string; readonly name: string }): JobQueue {
    return new JobQueue(this.#backend.forQueue(queue.name, queue.prefix) as RedisQueueBackend, this.#runner);
  }
}

/** The jobs of one queue. */
export class JobQueue {
  readonly #backend: RedisQueueBackend;
  readonly #runner: Runner;

  constructor(backend: RedisQueueBackend, runner: Runner) {
    this.#backend = backend;
    this.#runner = runner;
  }

  /** Takes the next job, if there is one, and locks it with a token; delayed jobs that are due wait from now on. */
  async take(token: string): Promise<Taken> {
    let result: [JobJson | null | undefined, string, number, number];
    try {
      result = (await this.#backend.moveToActive(token)) as typeof result;
    } catch (error) {
      if (error instanceof SyntaxError) return { kind: 'unreadable' };
      throw error;
    }
    const [job, id, , nextAtMs] = result;
    if (job === null || job === undefined) {
      return { kind: 'empty', nextAtMs: nextAtMs > 0 ? nextAtMs : undefined };
    }
    return {
      kind: 'taken',
      job: {
        id,
        name: job.name,
        data: job.data,
        progress: job.progress,
        availableAtMs: job.timestamp + (job.opts.delay ?? 0),
        timesTaken: job.attemptsStarted ?? 1,
        telemetry: job.opts.telemetry?.metadata,
      },
    };
  }

  /** Ends a job, of which nothing stays. */
  async finish(id: string, token: string): Promise<MoveResult> {
    const minimal = { id, opts: {} } as Parameters<RedisQueueBackend['moveToCompletedArgs']>[0];
    return this.#move(
      'moveToFinished',
      this.#backend.moveToCompletedArgs(minimal, 'null', true, token, false),
    );
  }

  /** Puts a job off. */
  async delay(id: string, token: string, delayMs: number): Promise<MoveResult> {
    const args = this.#backend.moveToDelayedArgs(id, Date.now(), token, Math.max(1, delayMs), {});
    return this.#move('moveToDelayed', args);
  }

  /** Gives a job back: it is the next that is taken. */
  async putBack(id: string, token: string): Promise<MoveResult> {
    try {
      await this.#backend.moveJobFromActiveToWait(id, token);
      return 'done';
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (typeof code !== 'number') throw error;
      return resultOf(code);
    }
  }

  /** Has jobs whose lock ran out wait again, once in each interval of the fleet. Returns how many. */
  async moveStalled(): Promise<number> {
    return (await this.#backend.moveStalledJobsToWait()).length;
  }

  /** Runs a script that BullMQ would have throw, and reads the code that it returns. */
  async #move(script: string, args: unknown[]): Promise<MoveResult> {
    const result: unknown = await this.#backend.execCommand(this.#runner, script, args);
    return typeof result === 'number' ? resultOf(result) : 'done';
  }
}

/** When a delayed job is due, epoch milliseconds: BullMQ keeps 12 bits of order beside the time. */
export function dueAtMs(score: string): number {
  return Math.floor(Number(score) / 0x1000);
}

/**
 * How long after it was enqueued a job was meant to be taken, milliseconds; 0: at once. From the job's options, as they
 * lie in Redis: BullMQ's field `delay` is rewritten whenever the job is put off.
 */
export function scheduledDelayMs(opts: string | null | undefined): number {
  try {
    const { delay } = JSON.parse(opts ?? '{}') as { readonly delay?: unknown };
    return typeof delay === 'number' && delay > 0 ? delay : 0;
  } catch {
    return 0;
  }
}

function createBackend(client: Redis, more: object): RedisQueueBackend {
  const backend = createRedisBackend('push', { connection: client, ...quietStart, ...more });
  backend.on('error', () => undefined);
  return backend;
}

/** Each transaction copies every script that its client knows: of BullMQ's fifty, these are run in one. */
const addScripts = /^add(Standard|Delayed)Job\b/;

function keepAddScripts(client: Redis): void {
  const { scriptsSet } = client as unknown as ScriptedClient;
  for (const name of Object.keys(scriptsSet)) if (!addScripts.test(name)) delete scriptsSet[name];
}

/** Scripts that take, put off, give back and end jobs, and find those whose worker died. */
const wayOut: ReadonlySet<string> = new Set([
  'moveToActive',
  'moveToFinished',
  'moveToDelayed',
  'moveJobFromActiveToWait',
  'moveStalledJobsToWait',
]);

/** BullMQ has defined its scripts by now, as `name:version`; those that have to run on a full Redis are defined anew. */
function allowWhenFull(client: Redis): void {
  const { scriptsSet } = client as unknown as ScriptedClient;
  for (const [command, { lua, numberOfKeys }] of Object.entries(scriptsSet)) {
    if (!wayOut.has(command.split(':')[0]!)) continue;
    client.defineCommand(command, { lua: `${allowOom}\n${lua}`, numberOfKeys });
  }
}

/** What BullMQ's `multi()` gives: the same object with a way to run its scripts by name. */
function asTransaction(multi: ChainableCommander): Transaction {
  const commands = multi as unknown as Commands;
  const transaction = multi as unknown as { runCommand: (name: string, args: unknown[]) => unknown };
  transaction.runCommand = (name, args) => {
    commands[name]!(args);
    return multi;
  };
  return multi as unknown as Transaction;
}

function jobJson({ id, data, enqueuedAtMs, delayMs, telemetry }: NewJob): JobJson {
  return {
    id,
    name: 'push',
    data: data as string,
    opts: {
      delay: delayMs,
      removeOnComplete: true,
      removeOnFail: deadJobs,
      jobId: id,
      ...(telemetry === undefined ? {} : { telemetry: { metadata: telemetry } }),
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

/** -2: there is no lock; -6: it is another's. The others: the job is gone, or not active. */
function resultOf(code: number): MoveResult {
  return code === -2 || code === -6 ? 'lost' : 'done';
}
