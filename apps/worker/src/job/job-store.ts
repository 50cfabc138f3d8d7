import {
  type DeadLetters,
  type LaneQueue,
  type LockKeeper,
  type LockResult,
  type PoisonedJobError,
  reportPoisoned,
  type SettledCounts,
  type TakenJob,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { Canary } from '../canary/canary.ts';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { AppHealth } from '../standing/app-health.ts';
import type { AppPauses } from '../standing/app-pauses.ts';
import type { JobSpan } from '../tracing/job-span.ts';
import { jobTransitions } from './job-state.ts';
import type { PushJob } from './push-job.ts';
import { type defaultRetryBackoffs, drawRetryWaits } from './retry-delay.ts';

export interface JobStoreOptions {
  readonly app: FleetApp;
  readonly link: WorkerLink;
  readonly letters: DeadLetters;
  readonly locks: LockKeeper;
  readonly metrics: AppMetrics;
  readonly backoffs: typeof defaultRetryBackoffs;
  /** While the app is slowed no tries are counted: most errors are then the gateway's, not the notification's. */
  readonly health: AppHealth;
  /** While the breaker has tripped, a token that is called invalid is no evidence against its device. */
  readonly pauses: AppPauses;
  /** Hears of every push job that is reported. */
  readonly canary: Canary | undefined;
  readonly logger: Logger;
}

/** Push jobs that one script writes the progress of, at most. */
const mostPerCheckpoint = 64;

/**
 * Writes to Redis what is known of the push jobs of one app: that a job is about to be handed over, how far it has come,
 * what became of it. What ends a try is written again and again until Redis has it, or the job is lost: no known outcome
 * is lost while this process lives.
 */
export class JobStore {
  readonly #options: JobStoreOptions;

  constructor(options: JobStoreOptions) {
    this.#options = options;
  }

  /** Ends the try of a job: reports it, or gives back what is left of it. Never rejects. */
  async end(queue: LaneQueue, job: PushJob): Promise<void> {
    const { app, metrics, backoffs, health, pauses } = this.#options;
    if (job.isLost) return;
    const { attempts, onUncertain, retryForMs } = app;
    // The job may have tripped the breaker just now, before the loop has seen it.
    if (pauses.isTripped) job.settlement.withholdEvidence();
    const countTries = health.slowed === undefined;
    const { left, retried } = job.settlement.endTry(
      { attempts, onUncertain, retryForMs, countTries, waitMs: drawRetryWaits(backoffs) },
      Date.now(),
    );
    if (left === 0) await this.#report(queue, job);
    else await this.giveBack(queue, job);
    if (!job.isLost) metrics.countRetried(retried);
  }

  /** Gives back what is left of a job: to be taken when the first of it is due. Never rejects. */
  async giveBack(queue: LaneQueue, job: PushJob): Promise<void> {
    const { settlement } = job;
    job.go('give-back');
    settlement.withdrawHandover();
    const dueAtMs = settlement.dueAtMs();
    const waitMs = dueAtMs - Date.now();
    if (waitMs > 0) job.span?.setResult('put-off', settlement, { 'pushfleet.delay_ms': waitMs });
    else job.span?.setResult('given-back', settlement);
    if (settlement.changes > 0) await this.#save(queue, job);
    await this.#leave(job, () =>
      waitMs > 0 ? queue.delay(job.taken, dueAtMs - Date.now()) : queue.putBack(job.taken),
    );
  }

  /** Writes down that a job is about to be handed over. Never rejects. */
  async announce(queue: LaneQueue, job: PushJob): Promise<void> {
    job.settlement.announceHandover();
    await this.#save(queue, job);
    job.isAnnounced = true;
  }

  /** Writes the progress of jobs that go on. Never rejects: the next one comes anyway. */
  async checkpoint(queue: LaneQueue, jobs: readonly PushJob[], nowMs: number): Promise<void> {
    const chunk = jobs.slice(0, mostPerCheckpoint);
    const notes = chunk.map((job) => {
      const { changes } = job.settlement;
      job.checkpointedAtMs = nowMs;
      return { job, changes, settled: job.settlement.settled(), saved: job.settlement.saved() };
    });
    try {
      const results = await queue.checkpoint(notes.map(({ job, saved }) => ({ job: job.taken, saved })));
      for (const [at, { job, changes, settled }] of notes.entries()) {
        job.checkpointedChanges = Math.max(job.checkpointedChanges, changes);
        this.#noteSaved(job, results[at], settled);
      }
    } catch (err) {
      this.#options.logger.debug(
        { err, jobs: chunk.length },
        'the progress of push jobs could not be written; it is written later',
      );
    }
    if (jobs.length > chunk.length) await this.checkpoint(queue, jobs.slice(chunk.length), nowMs);
  }

  /** Marks a job as lost, since its lock ran out. Changes nothing once Redis has what is known of the job. */
  lose(job: PushJob, result: Exclude<LockResult, 'done'>): void {
    if (jobTransitions[job.state].lose === undefined) return;
    job.go('lose');
    this.#options.logger.warn(
      { jobId: job.taken.id, ...job.span?.ids },
      result === 'lost' ? 'a push job was lost to another worker' : 'a push job is in Redis no more',
    );
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
    logger.error(
      { jobId: taken.id, reason: defect.message, ...span?.ids },
      'a push job cannot be read: it becomes a dead letter',
    );
    const persist = async (attempt: () => Promise<unknown>) => {
      if ((await link.persist(() => isLost, attempt)) === 'lost') isLost = true;
    };
    await persist(() => letters.keepPoisoned(taken, defect.message, nowMs));
    const share = await link.persist(
      () => isLost,
      () => queue.shareOf(taken),
    );
    // A job that another program added is in no sum.
    const report = share && reportPoisoned(taken, share, { app: app.id, lane: queue.lane }, nowMs);
    if (report !== undefined) await persist(() => queue.report(taken, report, span?.traceparent));
    if (!isLost) await persist(() => queue.finish(taken));
    locks.release(queue, taken);
    span?.setFailed(isLost ? 'lost' : 'poisoned');
    span?.end();
  }

  /** All of a job has its outcome: writes its dead letters and its report, and ends it. */
  async #report(queue: LaneQueue, job: PushJob): Promise<void> {
    const { letters, link } = this.#options;
    job.go('report');
    const nowMs = Date.now();
    if (job.settlement.settled().dead > 0) {
      // Before the letter, so that a crash in between ends with the same notifications dead.
      await this.#save(queue, job);
      await link.persist(
        () => job.isLost,
        () => letters.keepDead(job.taken, job.settlement, nowMs),
      );
    }
    const report = job.settlement.report({ id: job.taken.id, firstIndex: job.firstIndex }, nowMs);
    job.span?.setResult('settled', job.settlement);
    const result = await link.persist(
      () => job.isLost,
      () => queue.report(job.taken, report, job.span?.traceparent),
    );
    if (result === 'done') {
      job.countSettled(job.settlement.settled());
      const seconds = Math.max(0, nowMs - job.taken.availableAtMs) / 1_000;
      job.metrics.secondsToSettled.observe(seconds);
      this.#options.canary?.settled(job.decoded, job.settlement.exceptions[0], seconds);
    }
    if (result === 'lost') this.lose(job, result);
    await this.#leave(job, () => queue.finish(job.taken));
  }

  /** Writes down how far a job has come. */
  async #save(queue: LaneQueue, job: PushJob): Promise<void> {
    const settled = job.settlement.settled();
    const saved = job.settlement.saved();
    const results = await this.#options.link.persist(
      () => job.isLost,
      () => queue.checkpoint([{ job: job.taken, saved }]),
    );
    this.#noteSaved(job, results?.[0], settled);
  }

  #noteSaved(job: PushJob, result: LockResult | undefined, settled: SettledCounts): void {
    if (result === 'done') job.countSettled(settled);
    else if (result !== undefined) this.lose(job, result);
  }

  /** Redis has what is known of a job: whether it is still ours when it moves on does not matter. */
  async #leave(job: PushJob, move: () => Promise<unknown>): Promise<void> {
    if (job.isLost) return;
    job.go('leave');
    await this.#options.link.persist(() => false, move);
  }
}
