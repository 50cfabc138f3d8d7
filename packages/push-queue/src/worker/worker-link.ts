import { createRedisBackend, type RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { keepLetterScript, trimLettersScript } from '../dead-letter-scripts.ts';
import { RedisLink } from '../redis/link.ts';
import { wayOut } from '../way-out.ts';
import { type LeaseClock, systemLeaseClock } from './job-lease.ts';
import { checkpointScript, findTakenScript, peekScript, renewScript, reportScript } from './job-scripts.ts';

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

const scripts = {
  pushfleetReport: reportScript,
  pushfleetCheckpoint: checkpointScript,
  pushfleetRenew: renewScript,
  pushfleetPeek: peekScript,
  pushfleetFindTaken: findTakenScript,
  pushfleetKeepLetter: keepLetterScript,
  pushfleetTrimLetters: trimLettersScript,
} as const;
type ScriptName = keyof typeof scripts;

/** BullMQ's scripts that take, put off, give back and end push jobs, and find those whose worker died. */
const bullWayOut: ReadonlySet<string> = new Set([
  'moveToActive',
  'moveToFinished',
  'moveToDelayed',
  'moveJobFromActiveToWait',
  'moveStalledJobsToWait',
]);

interface DefinedScript {
  readonly lua: string;
  readonly numberOfKeys: number;
}

/** BullMQ has defined its scripts by now, as `name:version`; those of the way out are defined anew. */
function allowWhenFull(client: Redis): void {
  const { scriptsSet } = client as unknown as {
    readonly scriptsSet: Readonly<Record<string, DefinedScript>>;
  };
  for (const [command, { lua, numberOfKeys }] of Object.entries(scriptsSet)) {
    if (!bullWayOut.has(command.split(':')[0]!)) continue;
    client.defineCommand(command, { lua: wayOut + lua, numberOfKeys });
  }
}

/**
 * The one connection over which a worker takes, keeps and ends push jobs, of however many apps: commands go out as
 * they come and are answered in order, so that it is a pipeline by itself.
 */
export class WorkerLink {
  readonly prefix: string;
  readonly lockDurationMs: number;
  readonly stalledIntervalMs: number;
  readonly clock: LeaseClock;
  readonly #backend: RedisQueueBackend;
  readonly #link: RedisLink;
  readonly #runner: Parameters<RedisQueueBackend['execCommand']>[0];
  #closed = false;

  constructor(options: WorkerLinkOptions) {
    this.prefix = options.prefix;
    this.lockDurationMs = options.lockDurationMs;
    this.stalledIntervalMs = options.stalledIntervalMs;
    this.clock = options.clock ?? systemLeaseClock;
    this.#link = new RedisLink(options.redis, 'pushfleet:worker');
    for (const [name, lua] of Object.entries(scripts)) this.#link.client.defineCommand(name, { lua });
    const settings = {
      connection: this.#link.client,
      skipVersionCheck: true,
      skipWaitingForReady: true,
      lockDuration: options.lockDurationMs,
      stalledInterval: options.stalledIntervalMs,
      // A crash of ours is no fault of the job: it is never failed for having been active when a worker died.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
    };
    this.#backend = createRedisBackend('push', settings);
    this.#backend.on('error', () => undefined);
    allowWhenFull(this.#link.client);
    const commands = this.#link.client as unknown as Record<string, (args: unknown[]) => unknown>;
    this.#runner = {
      runCommand: (name: string, args: unknown[]) => commands[name]!(args),
    } as unknown as Parameters<RedisQueueBackend['execCommand']>[0];
  }

  /** BullMQ's scripts for one queue, on our connection. */
  queueBackend(name: string, prefix: string): RedisQueueBackend {
    return this.#backend.forQueue(name, prefix) as RedisQueueBackend;
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
    await this.#backend.waitUntilReady();
  }

  /** Sends one thing and waits for its answer. Throws `PushQueueError`. */
  async answer<T>(send: () => Promise<T>): Promise<T> {
    return this.#link.answer(commandTimeoutMs, send);
  }

  /** Runs a script of ours. Throws `PushQueueError`. */
  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const commands = this.#link.client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    const result = await this.answer(() => commands[name]!(keys.length, ...keys, ...args));
    if (name !== 'pushfleetPeek') this.#link.wrote();
    return result;
  }

  /** Runs a script of BullMQ's with arguments that a backend made; gives what it returns, codes of errors too. */
  async runBull(backend: RedisQueueBackend, name: string, args: unknown[]): Promise<unknown> {
    return this.answer(() => backend.execCommand(this.#runner, name, args) as Promise<unknown>);
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
