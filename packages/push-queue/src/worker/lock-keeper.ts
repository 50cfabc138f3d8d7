import { type LeaseClock, leaseDurationMs, systemLeaseClock } from './job-lease.ts';
import type { HeldJob, LaneQueue } from './lane-queue.ts';
import type { WorkerLink } from './worker-link.ts';

export interface LockKeeperOptions {
  readonly links: readonly Pick<WorkerLink, 'lockDurationMs' | 'onReady'>[];
  readonly clock?: LeaseClock;
  /** This process did not run for so long that its leases have ended, milliseconds. */
  readonly onStoodStill?: (stoodStillMs: number) => void;
  readonly onError: (error: unknown) => void;
}

interface Kept {
  readonly job: Pick<HeldJob, 'id' | 'token' | 'lease'>;
  readonly onLost: () => void;
}

/** Keeps the locks of all jobs that this worker holds: one call per queue, three times in the life of a lock. */
export class LockKeeper {
  readonly #options: LockKeeperOptions;
  readonly #clock: LeaseClock;
  readonly #held = new Map<LaneQueue, Map<string, Kept>>();
  readonly #timer: NodeJS.Timeout;
  readonly #intervalMs: number;
  readonly #leaseMs: number;
  #lastTickMs: number;
  /** Being renewed now: one queue that Redis does not answer for holds up no other. */
  readonly #renewing = new Set<LaneQueue>();

  constructor(options: LockKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemLeaseClock;
    const lockDurationMs = Math.min(...options.links.map((link) => link.lockDurationMs));
    this.#intervalMs = lockDurationMs / 3;
    this.#leaseMs = leaseDurationMs(lockDurationMs);
    this.#lastTickMs = this.#clock.now();
    this.#timer = setInterval(() => this.#tick(), this.#intervalMs);
    // Redis was away: what ran out meanwhile is taken again before others find it.
    for (const link of options.links) link.onReady(() => void this.renewAll());
  }

  /** @param onLost The job is another worker's now: stop working on it, and say nothing of it. */
  hold(queue: LaneQueue, job: Kept['job'], onLost: () => void): void {
    let jobs = this.#held.get(queue);
    if (jobs === undefined) {
      jobs = new Map();
      this.#held.set(queue, jobs);
    }
    jobs.set(job.id, { job, onLost });
  }

  release(queue: LaneQueue, job: Pick<HeldJob, 'id' | 'token'>): void {
    const jobs = this.#held.get(queue);
    if (jobs?.get(job.id)?.job.token !== job.token) return;
    jobs.delete(job.id);
    if (jobs.size === 0) this.#held.delete(queue);
  }

  /** Never rejects. */
  async renewAll(): Promise<void> {
    await Promise.all([...this.#held].map(async ([queue, jobs]) => this.#renew(queue, jobs)));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Timers come before sockets are served: whoever stood still hears of it before more of what waits is sent. */
  #tick(): void {
    const nowMs = this.#clock.now();
    const lateMs = nowMs - this.#lastTickMs - this.#intervalMs;
    this.#lastTickMs = nowMs;
    if (lateMs + this.#intervalMs >= this.#leaseMs) this.#options.onStoodStill?.(lateMs);
    void this.renewAll();
  }

  async #renew(queue: LaneQueue, jobs: Map<string, Kept>): Promise<void> {
    if (this.#renewing.has(queue)) return;
    this.#renewing.add(queue);
    const asked = [...jobs.values()].map(({ job }) => ({ job, granted: job.lease.renewal() }));
    try {
      const lost = new Set(await queue.renew(asked.map(({ job }) => job)));
      for (const { job, granted } of asked) {
        const kept = jobs.get(job.id);
        // What has ended meanwhile is not lost.
        if (kept?.job.token !== job.token) continue;
        if (!lost.has(job.id)) granted();
        else {
          jobs.delete(job.id);
          job.lease.end();
          kept.onLost();
        }
      }
      if (jobs.size === 0 && this.#held.get(queue) === jobs) this.#held.delete(queue);
    } catch (error) {
      this.#options.onError(error);
    }
    this.#renewing.delete(queue);
  }
}
