import type { Redis } from 'ioredis';
import type { Lane } from '../lane.ts';
import { type JobQueue, JobTaker } from '../redis/bullmq.ts';
import { appPrefix } from '../redis/keys.ts';
import { RedisLink } from '../redis/link.ts';
import { runScript, type ScriptArgs, type ScriptKeys, type ScriptName } from '../redis/scripts.ts';
import { type LeaseClock, systemLeaseClock } from './job-lease.ts';

export interface WorkerLinkOptions {
  /** A URL, or a client whose options are taken over. */
  readonly redis: string | Redis;
  readonly prefix: string;
  /** How long a job stays ours without renewal. */
  readonly lockDurationMs: number;
  /** How often the fleet looks for jobs whose worker died. */
  readonly stalledIntervalMs: number;
  /** By which leases end. */
  readonly clock?: LeaseClock;
}

/** How long one command may take before the connection is given up, milliseconds. */
const commandTimeoutMs = 10_000;
/** Between two tries of what has to be written, milliseconds. */
const retryPauseMs = 250;

/** Scripts that write nothing: that they ran does not say that Redis takes writes. */
const readOnly: ReadonlySet<ScriptName> = new Set(['peek', 'find-taken']);

/**
 * The one connection over which a worker takes, keeps and ends push jobs, of however many apps: commands go out as
 * they come and are answered in order, so that it is a pipeline by itself.
 */
export class WorkerLink {
  readonly prefix: string;
  readonly lockDurationMs: number;
  readonly stalledIntervalMs: number;
  readonly clock: LeaseClock;
  readonly #link: RedisLink;
  readonly #taker: JobTaker;
  #closed = false;

  constructor(options: WorkerLinkOptions) {
    this.prefix = options.prefix;
    this.lockDurationMs = options.lockDurationMs;
    this.stalledIntervalMs = options.stalledIntervalMs;
    this.clock = options.clock ?? systemLeaseClock;
    this.#link = new RedisLink(options.redis, 'pushfleet:worker');
    this.#taker = new JobTaker(this.#link.client, options);
  }

  /** BullMQ's queue of one app and lane, on this connection. */
  queue(app: string, lane: Lane): JobQueue {
    return this.#taker.queue({ prefix: appPrefix(this.prefix, app), name: lane });
  }

  get client(): Redis {
    return this.#link.client;
  }

  get isReady(): boolean {
    return this.#link.isReady;
  }

  /** Why Redis takes no writes, though it can be reached; undefined: it does, as far as is known. */
  get refusal(): string | undefined {
    return this.#link.refusal;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Calls the listener whenever a connection is up. */
  onReady(listener: () => void): void {
    this.#link.client.on('ready', listener);
  }

  /** Waits until Redis answers. Throws `PushQueueError` after `timeoutMs`. */
  async open(timeoutMs: number): Promise<void> {
    await this.#link.ready(timeoutMs);
    await this.answer(() => this.#link.client.ping());
    await this.#taker.ready();
  }

  /** Sends one thing and waits for its answer. Throws `PushQueueError`. */
  async answer<T>(send: () => Promise<T>): Promise<T> {
    return this.#link.answer(commandTimeoutMs, send);
  }

  /** Runs a script. Throws `PushQueueError`. */
  async run<Name extends ScriptName>(
    name: Name,
    keys: ScriptKeys<Name>,
    args: ScriptArgs<Name>,
  ): Promise<unknown> {
    const result = await this.answer(() => runScript(this.#link.client, name, keys, args));
    if (!readOnly.has(name)) this.#link.wrote();
    return result;
  }

  /**
   * Does what has to be done in Redis, again and again while Redis is away. Gives undefined when `isGivenUp` says that
   * it does not matter any more.
   */
  async persist<T>(isGivenUp: () => boolean, attempt: () => Promise<T>): Promise<T | undefined> {
    while (!this.#closed && !isGivenUp()) {
      try {
        return await attempt();
      } catch {
        const pause = Promise.withResolvers<void>();
        setTimeout(pause.resolve, retryPauseMs * (0.5 + Math.random()));
        await pause.promise;
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#link.close();
  }
}
