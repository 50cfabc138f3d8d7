import { setTimeout as delay } from 'node:timers/promises';
import { type AppPause, parsePauses } from '../control/app-control.ts';
import { dueAtMs } from '../redis/bullmq.ts';
import { pausesKey } from '../redis/keys.ts';
import type { LaneQueue } from './lane-queue.ts';
import type { WorkerLink } from './worker-link.ts';

/** What a look at an app has found. */
export interface AppSight {
  readonly pauses: readonly AppPause[];
  /** By the order of `lanes`. */
  readonly lanes: readonly {
    /** Jobs that can be taken now. */
    readonly waiting: number;
    /** When the first of the delayed jobs is due, epoch milliseconds. */
    readonly nextAtMs: number | undefined;
    /** Jobs that some worker holds, or held when it died. */
    readonly active: number;
  }[];
}

export interface WatchedApp {
  readonly id: string;
  /** By the order of `lanes`. */
  readonly queues: readonly LaneQueue[];
  /** Must not throw. */
  seen(sight: AppSight): void;
}

export interface QueueWatchOptions {
  readonly link: WorkerLink;
  readonly apps: readonly WatchedApp[];
  /** How often each app is looked at. */
  readonly pollIntervalMs: number;
  readonly onError: (error: unknown) => void;
}

/** Apps looked at in one go; there is a breath between two goes, so that hundreds of apps make no burst. */
const appsAtOnce = 25;

/**
 * Looks at all apps from time to time, one small script each: what no ring of the doorbell has told is found here,
 * delayed jobs that are due, and jobs whose worker died.
 */
export class QueueWatch {
  readonly #options: QueueWatchOptions;
  readonly #abort = new AbortController();
  readonly #stalledCheckAtMs = new Map<LaneQueue, number>();
  #running: Promise<void> | undefined;

  constructor(options: QueueWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** Looks at one app now. Throws `PushQueueError`. */
  async look(app: WatchedApp): Promise<void> {
    const { link } = this.#options;
    const queues = app.queues.flatMap(({ keys: { wait, delayed, active } }) => [wait, delayed, active]);
    const answer = await link.run('peek', { pauses: pausesKey(link.prefix, app.id), queues }, {});
    const [pauses, ...seen] = answer as [string[], ...[waiting: number, due: string, active: number][]];
    const sight: AppSight = {
      pauses: parsePauses(pauses),
      lanes: seen.map(([waiting, due, active]) => ({
        waiting,
        nextAtMs: due === '' ? undefined : dueAtMs(due),
        active,
      })),
    };
    app.seen(sight);
    for (const [place, { active }] of sight.lanes.entries()) {
      if (active > 0) await this.#checkStalled(app.queues[place]!);
    }
  }

  /** BullMQ lets one worker of the fleet do it in each interval; so asking more often costs little. */
  async #checkStalled(queue: LaneQueue): Promise<void> {
    const now = performance.now();
    if ((this.#stalledCheckAtMs.get(queue) ?? 0) > now) return;
    this.#stalledCheckAtMs.set(queue, now + this.#options.link.stalledIntervalMs / 2);
    await queue.moveStalled();
  }

  async #run(): Promise<void> {
    const { apps, pollIntervalMs, onError } = this.#options;
    const goes = Math.max(1, Math.ceil(apps.length / appsAtOnce));
    while (!this.#abort.signal.aborted) {
      for (let go = 0; go < goes; go++) {
        const some = apps.slice(go * appsAtOnce, (go + 1) * appsAtOnce);
        const looks = await Promise.allSettled(some.map((app) => this.look(app)));
        const failed = looks.find((look) => look.status === 'rejected');
        if (failed !== undefined) onError(failed.reason);
        await this.#pause((pollIntervalMs / goes) * (0.75 + Math.random() * 0.5));
        if (this.#abort.signal.aborted) return;
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#abort.signal }).catch(() => undefined);
  }
}
