import type { Lane } from '@pushfleet/push-queue';
import {
  type LaneQueue,
  type LockKeeper,
  PoisonedJobError,
  type TakenJob,
} from '@pushfleet/push-queue/worker';
import type { Logger } from '@pushfleet/service-kit';
import type { ActiveJob } from '../job/active-job.ts';
import type { JobEnd } from '../job/job-end.ts';
import type { JobIntake } from '../job/job-intake.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { JobSpans } from '../tracing/job-span.ts';
import { LaneFeed } from './lane-feed.ts';

export interface AppLaneOptions {
  readonly lane: Lane;
  readonly queue: LaneQueue;
  readonly intake: JobIntake;
  readonly jobEnd: JobEnd;
  readonly locks: LockKeeper;
  readonly budget: MemoryBudget;
  readonly spans: JobSpans;
  readonly logger: Logger;
  /** Whether there is room for one job more, with so many ahead of it. */
  readonly mayTake: (ahead: number) => boolean;
  /** Whether jobs may wait here to be handed over; not while the app rests, or stops. */
  readonly mayWait: () => boolean;
  /** Whether Redis is to know before a job is handed over: what it may have sent is not sent again after a crash. */
  readonly announces: boolean;
  /** Jobs have come, gone or become ready. */
  readonly onChange: () => void;
  /** Has a stop wait for what goes on in Redis. */
  readonly follow: (work: Promise<void>) => void;
}

/** The push jobs of one app and lane that this worker holds, from the moment they are taken until they are gone. */
export class AppLane {
  readonly lane: Lane;
  readonly queue: LaneQueue;
  readonly #options: AppLaneOptions;
  readonly #feed: LaneFeed;
  readonly #held = new Set<ActiveJob>();
  /** Waits to be handed over, oldest first. */
  readonly #ready: ActiveJob[] = [];
  /** Held, and asking or telling Redis something before they are ready. */
  #asking = 0;
  #isCheckpointing = false;

  constructor(options: AppLaneOptions) {
    const { lane, queue, intake, logger, mayTake, onChange, follow } = options;
    this.lane = lane;
    this.queue = queue;
    this.#options = options;
    this.#feed = new LaneFeed({
      queue,
      mayTake: (beingTaken) => mayTake(this.#ready.length + this.#asking + beingTaken),
      controlRings: () => intake.controlRings,
      onTaken: (job, controlRings) => follow(this.#receive(job, controlRings)),
      onChange,
      onError: (err) => logger.debug({ err }, 'a push job could not be taken'),
    });
  }

  get held(): ReadonlySet<ActiveJob> {
    return this.#held;
  }

  /** Holds nothing, and is about to hold nothing. */
  get isIdle(): boolean {
    return this.#held.size === 0 && this.#feed.beingTaken === 0;
  }

  /** Whether a job waits to be handed over. */
  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** There may be jobs to take. */
  ring(): void {
    this.#feed.ring();
  }

  /** A delayed job is due at `atMs`, epoch milliseconds. */
  expectAt(atMs: number): void {
    this.#feed.expectAt(atMs);
  }

  /** Takes jobs while there is room for them. */
  take(): void {
    this.#feed.feed();
  }

  /** Hands ready jobs over while `maySubmit`. What may have been cancelled meanwhile is looked at again first. */
  submitReady(maySubmit: () => boolean, submit: (job: ActiveJob) => void): void {
    while (this.#ready.length > 0 && maySubmit()) {
      const job = this.#ready.shift()!;
      if (this.#options.announces && !job.isAnnounced) this.#options.follow(this.#announce(job));
      else if (this.#options.intake.isFresh(job)) submit(job);
      else this.#options.follow(this.#ask(job, 'unshift'));
    }
  }

  /** Writes the progress of jobs down that have been at it for `intervalMs`. */
  checkpoint(nowMs: number, intervalMs: number): void {
    const { jobEnd, follow } = this.#options;
    if (this.#isCheckpointing || this.#held.size === 0) return;
    const changed = [...this.#held].filter((job) => {
      const { outstanding, changes } = job.settlement;
      if (changes === job.checkpointedChanges || outstanding === 0 || job.isLost) return false;
      return nowMs - job.checkpointedAtMs >= intervalMs;
    });
    if (changed.length === 0) return;
    this.#isCheckpointing = true;
    const written = jobEnd.checkpoint(this.queue, changed, nowMs);
    follow(
      written.finally(() => {
        this.#isCheckpointing = false;
      }),
    );
  }

  /** Every notification that was handed over has its verdict. */
  tryEnded(job: ActiveJob): void {
    const { jobEnd, follow } = this.#options;
    follow(jobEnd.end(this.queue, job).then(() => this.#forget(job)));
  }

  /** Gives back what has not been handed over. */
  giveReadyBack(): void {
    for (const job of this.#ready.splice(0)) this.#giveBack(job);
  }

  /** Takes nothing any more; resolves when what was being taken has come. */
  async stop(): Promise<void> {
    this.giveReadyBack();
    await this.#feed.stop();
  }

  /** Decodes a job, ends what of it needs no gateway, and puts it among those that are ready. */
  async #receive(taken: TakenJob, controlRings: number): Promise<void> {
    const { intake, jobEnd, locks, budget, spans, onChange } = this.#options;
    const span = spans.begin(this.lane, taken);
    let job: ActiveJob;
    try {
      job = intake.open(this.lane, taken, controlRings, span);
    } catch (error) {
      if (!(error instanceof PoisonedJobError)) throw error;
      await jobEnd.bury(this.queue, taken, error, span);
      onChange();
      return;
    }
    budget.reserve(this.queue.app, job.decoded.bytes);
    this.#held.add(job);
    locks.hold(this.queue, taken, () => this.#lost(job));
    if (intake.isFresh(job)) this.#place(job, 'push');
    else await this.#ask(job, 'push');
  }

  /** Looks at what is cancelled of a job. */
  async #ask(job: ActiveJob, at: 'push' | 'unshift'): Promise<void> {
    this.#asking++;
    await this.#options.intake.refresh(this.queue.link, job);
    this.#asking--;
    this.#place(job, at);
  }

  async #announce(job: ActiveJob): Promise<void> {
    this.#asking++;
    await this.#options.jobEnd.announce(this.queue, job);
    this.#asking--;
    this.#place(job, 'unshift');
  }

  #place(job: ActiveJob, at: 'push' | 'unshift'): void {
    if (job.isLost) this.#forget(job);
    else if (job.settlement.left === 0) this.tryEnded(job);
    else if (this.#options.mayWait() && job.settlement.dueAtMs() <= Date.now()) this.#ready[at](job);
    else this.#giveBack(job);
    this.#options.onChange();
  }

  #giveBack(job: ActiveJob): void {
    const { jobEnd, follow } = this.#options;
    follow(jobEnd.giveBack(this.queue, job).then(() => this.#forget(job)));
  }

  /** Another worker has it: our silence was taken for death. */
  #lost(job: ActiveJob): void {
    // It has left our hands, and the answer to that is on its way.
    if (job.isLeaving) return;
    this.#options.jobEnd.lost(job, 'lost');
    const place = this.#ready.indexOf(job);
    if (place < 0) return;
    this.#ready.splice(place, 1);
    this.#forget(job);
  }

  #forget(job: ActiveJob): void {
    if (!this.#held.delete(job)) return;
    const { locks, budget, onChange } = this.#options;
    locks.release(this.queue, job.taken);
    budget.release(this.queue.app, job.decoded.bytes);
    if (job.isLost) job.span?.setFailed('lost');
    job.span?.end();
    onChange();
  }
}
