import {
  type DeadLetters,
  type LaneQueue,
  type LockKeeper,
  type PoisonedJobError,
  reportPoisoned,
  type TakenJob,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { ActiveJob } from './active-job.ts';
import type { AppMetrics } from './app-metrics.ts';
import type { JobSpan } from './job-span.ts';
import { type RetryBackoff, retryDelayMs } from './retry-delay.ts';

export interface JobEndOptions {
  readonly app: FleetApp;
  readonly link: WorkerLink;
  readonly letters: DeadLetters;
  readonly locks: LockKeeper;
  readonly metrics: AppMetrics;
  readonly backoff: RetryBackoff;
  readonly logger: Logger;
}

/**
 * What happens to a push job in Redis when a try of it has ended. Goes on until Redis has it, or until the job is
 * another worker's: an outcome that is known is never lost while this process lives.
 */
export class JobEnd {
  readonly #options: JobEndOptions;

  constructor(options: JobEndOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async end(queue: LaneQueue, job: ActiveJob): Promise<void> {
    const { app, metrics, backoff } = this.#options;
    if (!job.isLost) {
      const deadBefore = countDead(job);
      const { left, tries, retryAfterMs, retried } = job.settlement.endTry(app, Date.now());
      metrics.retried(retried);
      job.metrics.settled.dead.inc(countDead(job) - deadBefore);
      if (left === 0) await this.#finish(queue, job);
      else if (tries === 0) await this.giveBack(queue, job);
      else await this.#putOff(queue, job, retryDelayMs(backoff, tries, retryAfterMs));
    }
  }

  /** Gives a job back untouched, or with what has settled of it. Never rejects. */
  async giveBack(queue: LaneQueue, job: ActiveJob): Promise<void> {
    const { settlement } = job;
    settlement.withdrawHandover();
    job.span?.describe('given-back', settlement);
    const progress = settlement.changes === 0 ? undefined : settlement.progress();
    await this.#persist(job, () => queue.putBack(job.taken, progress));
  }

  /** Writes down that a job is about to be handed over. Never rejects. */
  async announce(queue: LaneQueue, job: ActiveJob): Promise<void> {
    job.settlement.announceHandover();
    await this.#persist(job, () => queue.checkpoint(job.taken, job.settlement.progress()));
    job.isAnnounced = true;
  }

  /** Writes the progress of a job that goes on. Never rejects: the next one comes anyway. */
  async checkpoint(queue: LaneQueue, job: ActiveJob, nowMs: number): Promise<void> {
    job.checkpointedAtMs = nowMs;
    job.checkpointedChanges = job.settlement.changes;
    try {
      const held = await queue.checkpoint(job.taken, job.settlement.progress());
      if (held === 'lost') job.isLost = true;
    } catch (err) {
      this.#options.logger.debug({ err, jobId: job.taken.id }, 'a checkpoint failed');
    }
  }

  /** Puts a job whose data cannot be read into the dead letters, and ends it. Never rejects. */
  async bury(
    queue: LaneQueue,
    taken: TakenJob,
    defect: PoisonedJobError,
    span: JobSpan | undefined,
  ): Promise<void> {
    const { letters, link, locks, logger, app } = this.#options;
    let isLost = false;
    locks.hold(queue, taken, () => {
      isLost = true;
    });
    const nowMs = Date.now();
    logger.error({ jobId: taken.id, reason: defect.message, ...span?.ids }, 'a push job is poisoned');
    const persist = async (attempt: () => Promise<unknown>) => {
      if ((await link.persist(() => isLost, attempt)) === 'lost') isLost = true;
    };
    await persist(() => letters.keepPoisoned(taken, defect.message, nowMs));
    const share = await link.persist(
      () => isLost,
      () => queue.shareOf(taken),
    );
    // What somebody else put there is in no sum.
    const report = share && reportPoisoned(taken, share, { app: app.id, lane: queue.lane }, nowMs);
    if (report !== undefined) await persist(() => queue.report(taken, report, span?.traceparent));
    if (!isLost) await persist(() => queue.finish(taken));
    locks.release(queue, taken);
    span?.failed(isLost ? 'lost' : 'poisoned');
    span?.end();
  }

  async #finish(queue: LaneQueue, job: ActiveJob): Promise<void> {
    const { letters } = this.#options;
    const nowMs = Date.now();
    if (countDead(job) > 0) {
      // Before the letter, so that a crash in between ends with the same notifications dead.
      await this.#persist(job, () => queue.checkpoint(job.taken, job.settlement.progress()));
      await this.#persist(job, () => letters.keepDead(job.taken, job.settlement, nowMs));
    }
    const report = job.settlement.report({ id: job.taken.id, firstIndex: job.firstIndex }, nowMs);
    job.span?.describe('settled', job.settlement);
    await this.#persist(job, () => queue.report(job.taken, report, job.span?.traceparent));
    if (job.isLost) return;
    job.metrics.enqueueToSettled(Math.max(0, nowMs - job.taken.availableAtMs) / 1_000);
    await this.#persist(job, () => queue.finish(job.taken));
  }

  async #putOff(queue: LaneQueue, job: ActiveJob, delayMs: number): Promise<void> {
    job.span?.describe('put-off', job.settlement, { 'pushfleet.delay_ms': delayMs });
    await this.#persist(job, () => queue.delay(job.taken, delayMs, job.settlement.progress()));
  }

  async #persist(job: ActiveJob, attempt: () => Promise<unknown>): Promise<void> {
    const result = await this.#options.link.persist(() => job.isLost, attempt);
    if (result === 'lost') job.isLost = true;
  }
}

function countDead(job: ActiveJob): number {
  let dead = 0;
  for (const { outcome } of job.settlement.exceptions) if (outcome === 'dead') dead++;
  return dead;
}
