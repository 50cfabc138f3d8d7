import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type BatchInput, type Lane, PushQueueError, readPauses } from '@pushfleet/push-queue';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { Logger } from '@pushfleet/service-kit';
import { type ScheduledSend, TokenStoreError } from '@pushfleet/token-store';
import type { DatabaseLink } from '../database-link.ts';
import { Problem } from '../http/problem.ts';
import type { RedisRoom } from '../redis-room.ts';
import { bindUsers, type Target, usersOf } from './bind-users.ts';
import { finishCancelling, type ScheduledSendParts, scheduledKey } from './scheduled-send.ts';
import { formatUsersNote, parseUsersNote } from './users-note.ts';

export interface ScheduledSendRunnerOptions extends Pick<ScheduledSendParts, 'queue'> {
  readonly database: DatabaseLink;
  readonly redis: StatusOptions;
  readonly logger: Logger;
  /** Ids of the apps that are served. */
  readonly apps: readonly string[];
  /** While Redis has no room, nothing is enqueued; absent: it always has. */
  readonly room?: Pick<RedisRoom, 'isFull'> | undefined;
  /** How often to look for sends that are due, milliseconds. */
  readonly pollMs?: number;
  readonly leaseMs?: number;
}

interface ScheduledCall {
  readonly defaults?: object;
  readonly notifications: readonly Target[];
}

/** At once. */
const perTurn = 64;
/** When the queue or the app was not able to, milliseconds. */
const againMs = 1_000;

/**
 * Lets sends to users go out when their time has come, to the devices that are the users' then: those of this process and
 * those that another one has left. Each is enqueued under a key of its own, so that it does not matter how many try.
 */
export class ScheduledSendRunner {
  readonly #options: ScheduledSendRunnerOptions;
  readonly #owner = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  /** Apps that rest: until when nothing of them is looked at, by the monotonic clock. */
  readonly #resting = new Map<string, number>();
  /** Apps of which the last one could not go out. */
  readonly #troubled = new Set<string>();
  #wake = Promise.withResolvers<void>();

  constructor(options: ScheduledSendRunnerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** There is something to do. */
  wake(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Ends with what is under way. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { database, logger, pollMs = 500 } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      let taken = 0;
      try {
        if (database.state === 'ready') taken = await this.#turn();
      } catch (err) {
        const isAway = err instanceof TokenStoreError && err.isTransient;
        logger[isAway ? 'debug' : 'error']({ err }, 'scheduled sends rest for a moment');
      }
      if (taken < perTurn && !signal.aborted) await this.#pause(pollMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    void this.#wake.promise.then(resolve);
    await promise;
    clearTimeout(timer);
  }

  /** Returns how many there were. @throws TokenStoreError */
  async #turn(): Promise<number> {
    const { database, leaseMs = 30_000 } = this.#options;
    const { scheduledSends } = database.store;
    const apps = this.#options.apps.filter((app) => (this.#resting.get(app) ?? 0) <= performance.now());
    const sends = await scheduledSends.claim({ owner: this.#owner, leaseMs, apps, limit: perTurn });
    const byApp = Map.groupBy(sends, ({ app }) => app);
    const left = await Promise.all([...byApp].map(([app, some]) => this.#runSome(app, some)));
    const ids = left.flat();
    if (ids.length > 0) await scheduledSends.postpone(ids, this.#owner, againMs);
    return sends.length;
  }

  /** Returns the ids of those that have to be tried again. @throws TokenStoreError */
  async #runSome(app: string, sends: readonly ScheduledSend[]): Promise<string[]> {
    const isResting = await this.#checkRest(app);
    const tried = await Promise.all(
      sends.map(async (send) => {
        // What waits for the app stays here, where it is bound when the app goes on.
        if (isResting && send.state === 'waiting') return [send.id];
        return (await this.#attempt(send)) ? [] : [send.id];
      }),
    );
    return tried.flat();
  }

  /** Looks whether the app may be sent for, and notes it. */
  async #checkRest(app: string): Promise<boolean> {
    const { redis, room } = this.#options;
    const rests = room?.isFull === true || (await readPauses(redis, app).catch(() => [undefined])).length > 0;
    if (rests) this.#resting.set(app, performance.now() + againMs);
    else this.#resting.delete(app);
    return rests;
  }

  /** False: it has to be tried again. */
  async #attempt(send: ScheduledSend): Promise<boolean> {
    const { id, app } = send;
    try {
      const isDone = send.state === 'waiting' ? await this.#enqueue(send) : await this.#cancel(send);
      if (isDone) this.#troubled.delete(app);
      return isDone;
    } catch (err) {
      const facts = { app, batch: id, err };
      if (isLasting(err)) return this.#failed(send, err.message);
      // What holds up one holds up the others of its app: it is said once, and they are left alone for a moment.
      const level = this.#troubled.has(app) ? 'debug' : 'warn';
      this.#troubled.add(app);
      this.#resting.set(app, performance.now() + againMs);
      this.#options.logger[level](facts, 'a scheduled send could not go out; it is tried again');
      return false;
    }
  }

  async #cancel(send: ScheduledSend): Promise<boolean> {
    await finishCancelling(send, this.#parts);
    return true;
  }

  /** False: it has to be tried again. */
  async #enqueue(send: ScheduledSend): Promise<boolean> {
    const { queue, database } = this.#options;
    const { id, app, lane, sendAt } = send;
    const { defaults, notifications } = send.call as unknown as ScheduledCall;
    const { scheduledSends, devices } = database.store;
    const users = usersOf(notifications);
    const bound = await bindUsers(devices, app, notifications);
    const { usersWithoutDevices } = bound;
    if (bound.notifications.length === 0) {
      return this.#failed(send, 'none of the users has a device that is active', usersWithoutDevices);
    }
    const { key, recall } = scheduledKey(id);
    const input = { app, lane: lane as Lane, defaults: defaults ?? {}, notifications: bound.notifications };
    const note = formatUsersNote({ isScheduled: true, usersWithoutDevices }, users);
    const sent = await queue.enqueueBatch({ ...input, idempotencyKey: key } as unknown as BatchInput, {
      ...{ ...recall, note, batchId: id, dueMs: sendAt.getTime() },
    });
    // It was cancelled before it could be enqueued, and whoever did that writes it down.
    if (sent.notificationIds.length === 0) return true;
    const unreached = parseUsersNote(sent.note, users).usersWithoutDevices;
    await scheduledSends.end(id, 'waiting', {
      state: 'enqueued',
      ...(unreached.length === 0 ? {} : { usersWithoutDevices: unreached }),
    });
    return true;
  }

  /** Nothing of it can go out, unless another has sent it meanwhile. False: it has to be tried again. */
  async #failed(send: ScheduledSend, error: string, usersWithoutDevices?: string[]): Promise<boolean> {
    const { queue, logger } = this.#options;
    const { scheduledSends } = this.#parts;
    const { key, recall } = scheduledKey(send.id);
    try {
      const sent = await queue.renounce(send.app, key, recall);
      const end = { state: 'failed', error, usersWithoutDevices } as const;
      await scheduledSends.end(send.id, 'waiting', sent === undefined ? end : { state: 'enqueued' });
      return true;
    } catch (err) {
      logger.warn(
        { app: send.app, batch: send.id, err },
        'a scheduled send could not be finished; trying again',
      );
      return false;
    }
  }

  get #parts(): ScheduledSendParts {
    const { queue, redis, database } = this.#options;
    return { queue, redis, scheduledSends: database.store.scheduledSends };
  }
}

/** What trying again does not change: what is sent is not right for the app any more, or for too many. */
function isLasting(error: unknown): error is Error {
  if (error instanceof Problem) return error.code === 'invalid-notification';
  return error instanceof PushQueueError && error.code === 'invalid-notification';
}
