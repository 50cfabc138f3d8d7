import type { HeldJob, LaneQueue } from './lane-queue.ts';
import type { WorkerLink } from './worker-link.ts';

/** Keeps the locks of all jobs that this worker holds: one call per queue, three times in the life of a lock. */
export class LockKeeper {
  readonly #held = new Map<LaneQueue, Map<string, { readonly token: string; readonly onLost: () => void }>>();
  readonly #timer: NodeJS.Timeout;
  readonly #onError: (error: unknown) => void;
  #running = false;

  constructor(links: readonly WorkerLink[], onError: (error: unknown) => void) {
    this.#onError = onError;
    const lockDurationMs = Math.min(...links.map((link) => link.lockDurationMs));
    this.#timer = setInterval(() => void this.renewAll(), lockDurationMs / 3);
    // Redis was away: what ran out meanwhile is taken again before others find it.
    for (const link of links) link.onReady(() => void this.renewAll());
  }

  /** @param onLost The job is somebody else's now: stop working on it, and say nothing of it. */
  hold(queue: LaneQueue, job: HeldJob, onLost: () => void): void {
    let jobs = this.#held.get(queue);
    if (jobs === undefined) {
      jobs = new Map();
      this.#held.set(queue, jobs);
    }
    jobs.set(job.id, { token: job.token, onLost });
  }

  release(queue: LaneQueue, job: HeldJob): void {
    const jobs = this.#held.get(queue);
    if (jobs?.get(job.id)?.token !== job.token) return;
    jobs.delete(job.id);
    if (jobs.size === 0) this.#held.delete(queue);
  }

  /** Never rejects. */
  async renewAll(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await Promise.all([...this.#held].map(([queue, jobs]) => this.#renew(queue, jobs)));
    this.#running = false;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #renew(
    queue: LaneQueue,
    jobs: Map<string, { readonly token: string; readonly onLost: () => void }>,
  ): Promise<void> {
    const asked = [...jobs].map(([id, { token }]) => ({ id, token }));
    try {
      const lost = new Set(await queue.renew(asked));
      for (const { id, token } of asked) {
        const job = jobs.get(id);
        // What has ended meanwhile is not lost.
        if (!lost.has(id) || job?.token !== token) continue;
        jobs.delete(id);
        job.onLost();
      }
      if (jobs.size === 0 && this.#held.get(queue) === jobs) this.#held.delete(queue);
    } catch (error) {
      this.#onError(error);
    }
  }
}
