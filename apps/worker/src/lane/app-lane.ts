import type { Lane } from '@pushfleet/push-queue';
import {
  type LaneQueue,
  type LockKeeper,
  PoisonedJobError,
  type TakenJob,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { LaneTransport } from '../gateway/lane-transport.ts';
import type { JobIntake } from '../job/job-intake.ts';
import type { JobStore } from '../job/job-store.ts';
import type { JobHome, PushJob } from '../job/push-job.ts';
import type { Loop } from '../loop.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { PendingWork } from '../pending-work.ts';
import type { JobSpans } from '../tracing/job-span.ts';
import { SendRate } from './send-rate.ts';
import { TakePace } from './take-pace.ts';

export interface AppLaneOptions {
  readonly app: FleetApp;
  readonly queue: LaneQueue;
  readonly transport: LaneTransport;
  readonly intake: JobIntake;
  readonly store: JobStore;
  readonly locks: LockKeeper;
  readonly budget: MemoryBudget;
  readonly spans: JobSpans;
  /** Follows what goes on in Redis. */
  readonly work: PendingWork;
  /** Woken when jobs have come, gone or become ready. */
  readonly loop: Loop;
  readonly logger: Logger;
}

/** What can be seen of one lane. */
export interface LaneView {
  /** Holds no push job and is taking none. */
  readonly isIdle: boolean;
  /** Push jobs that wait to be handed over. */
  readonly ready: number;
  /** What the first of these needs before it is handed over. */
  readonly firstNeeds: 'announcing' | 'checking' | 'nothing';
  /** Push jobs that will be ready before one that is taken now: ready, being taken, being checked or announced. */
  readonly ahead: number;
  /** Redis may have a push job, and may be asked for one now. */
  readonly mayAsk: boolean;
  /** The transport is not built, and can be. */
  readonly isTransportMissing: boolean;
  /** Notifications that the transport has room for; before it is built, 1: the push job that it is built for. */
  readonly room: number;
  /** Notifications that the rate of the app lets go now; 0 or less: the next push job waits. */
  readonly allowance: number;
  /** The transport takes one more run: it is built, has room, and little of the lane waits in it to be written. */
  readonly mayHandOver: boolean;
}

/**
 * The push jobs of one app and lane that this worker holds, from the moment they are taken until they are gone. The
 * loop of the app says what is done next; a job says when its try has ended.
 */
export class AppLane implements JobHome {
  readonly lane: Lane;
  readonly queue: LaneQueue;
  readonly transport: LaneTransport;
  readonly #options: AppLaneOptions;
  readonly #pace: TakePace;
  readonly #rate: SendRate;
  /** Its locks are kept, and its memory is reserved. */
  readonly #held = new Set<PushJob>();
  /** Waits to be handed over, oldest first. */
  readonly #ready: PushJob[] = [];
  /** Jobs that are being checked or announced. */
  #preparing = 0;
  #isCheckpointing = false;
  #isStopped = false;

  constructor(options: AppLaneOptions) {
    this.lane = options.queue.lane;
    this.queue = options.queue;
    this.transport = options.transport;
    this.#options = options;
    this.#pace = new TakePace(options.loop);
    this.#rate = new SendRate(options.app.rate, options.loop, performance.now());
  }

  get held(): ReadonlySet<PushJob> {
    return this.#held;
  }

  /** Whether push jobs wait for the rate of the app, and for nothing else. */
  get isRateLimited(): boolean {
    return (
      this.#ready.length > 0 &&
      this.transport.mayHandOver(this.lane) &&
      this.#rate.allowance(performance.now()) <= 0
    );
  }

  /** What the plan of the app sees of it. */
  get view(): LaneView {
    const { lane, transport } = this;
    const { underWay, mayAsk } = this.#pace;
    return {
      isIdle: this.#held.size === 0 && underWay === 0,
      ready: this.#ready.length,
      firstNeeds: this.#firstNeeds,
      ahead: this.#ready.length + this.#preparing + underWay,
      mayAsk,
      isTransportMissing: transport.isMissing,
      room: transport.roomFor(lane),
      allowance: this.#rate.allowance(performance.now()),
      mayHandOver: transport.mayHandOver(lane),
    };
  }

  /** There may be jobs to take. */
  ring(): void {
    this.#pace.ring();
  }

  /** A delayed job is due at `atMs`, epoch milliseconds. */
  expectAt(atMs: number): void {
    this.#pace.expectAt(atMs);
  }

  /** Takes a job, if Redis has one, and makes it ready. */
  take(): void {
    this.#pace.begin();
    this.#options.work.follow(this.#take());
  }

  /** Announces the first job that is ready, which is the first again afterwards. */
  announceFirst(): void {
    this.#options.work.follow(this.#announce(this.#ready.shift()!));
  }

  /** Checks what is cancelled of the first job that is ready, which is the first again afterwards. */
  checkFirst(): void {
    this.#options.work.follow(this.#check(this.#ready.shift()!, 'unshift'));
  }

  /** Hands over the first job that is ready, or `most` notifications of it. */
  handOverFirst(most: number | undefined): void {
    const job = this.#ready.shift()!;
    const run = job.beginTry(this.#options.app.transport, most);
    this.#rate.spend(run.columns.count, performance.now());
    this.transport.submit(run);
  }

  /** Writes the progress of jobs down that have been at it for `intervalMs`. */
  checkpoint(nowMs: number, intervalMs: number): void {
    const { store, work } = this.#options;
    if (this.#isCheckpointing || this.#held.size === 0) return;
    const changed = [...this.#held].filter((job) => {
      if (job.state !== 'sending' || job.settlement.changes === job.checkpointedChanges) return false;
      return nowMs - job.checkpointedAtMs >= intervalMs;
    });
    if (changed.length === 0) return;
    this.#isCheckpointing = true;
    const written = store.checkpoint(this.queue, changed, nowMs);
    work.follow(
      written.finally(() => {
        this.#isCheckpointing = false;
      }),
    );
  }

  /** Gives back what has not been handed over. */
  giveReadyBack(): void {
    for (const job of this.#ready.splice(0)) this.#giveBack(job);
  }

  /** Takes nothing any more, and gives back what has not been handed over, also what is still being taken. */
  stop(): void {
    this.#isStopped = true;
    this.#pace.stop();
    this.#rate.stop();
    this.giveReadyBack();
  }

  leftQueue(notifications: number): void {
    this.transport.leftQueue(notifications);
  }

  tryEnded(job: PushJob): void {
    const { store, work } = this.#options;
    work.follow(store.end(this.queue, job).then(() => this.#forget(job)));
  }

  /** What may have been cancelled since the first job was checked is checked again. */
  get #firstNeeds(): LaneView['firstNeeds'] {
    const [job] = this.#ready;
    if (job === undefined) return 'nothing';
    // After a crash nothing that may have been sent is sent again: Redis has to know before it is handed over.
    if (this.#options.app.onUncertain === 'drop' && !job.isAnnounced) return 'announcing';
    return this.#options.intake.isFresh(job) ? 'nothing' : 'checking';
  }

  async #take(): Promise<void> {
    const { intake, loop, logger } = this.#options;
    const { rings } = this.#pace;
    const { cancellationVersion } = intake;
    let taken: TakenJob | undefined;
    try {
      const result = await this.queue.take();
      if (result.kind === 'empty') {
        this.#pace.foundNone(rings, result.nextAtMs);
      } else {
        this.#pace.took();
        taken = result.job;
      }
    } catch (err) {
      logger.debug({ err, lane: this.lane }, 'a push job could not be taken');
      this.#pace.failed();
    }
    loop.wake();
    if (taken !== undefined) await this.#receive(taken, cancellationVersion);
  }

  /** Decodes a job, ends what of it needs no gateway, and puts it among those that are ready. */
  async #receive(taken: TakenJob, cancellationVersion: number): Promise<void> {
    const { intake, store, locks, budget, spans, loop } = this.#options;
    const span = spans.begin(this.lane, taken);
    let job: PushJob;
    try {
      job = intake.open(taken, cancellationVersion, this, span);
    } catch (error) {
      if (!(error instanceof PoisonedJobError)) throw error;
      await store.bury(this.queue, taken, error, span);
      loop.wake();
      return;
    }
    budget.reserve(this.queue.app, job.decoded.bytes);
    this.#held.add(job);
    locks.hold(this.queue, taken, () => this.#lose(job));
    if (intake.isFresh(job)) this.#place(job, 'push');
    else await this.#check(job, 'push');
  }

  /** Reads what is cancelled of a job. */
  async #check(job: PushJob, at: 'push' | 'unshift'): Promise<void> {
    job.go('check');
    this.#preparing++;
    await this.#options.intake.refresh(this.queue.link, job);
    this.#preparing--;
    this.#place(job, at);
  }

  async #announce(job: PushJob): Promise<void> {
    job.go('announce');
    this.#preparing++;
    await this.#options.store.announce(this.queue, job);
    this.#preparing--;
    this.#place(job, 'unshift');
  }

  /** Nothing goes on in Redis for a job: decides where it goes. */
  #place(job: PushJob, at: 'push' | 'unshift'): void {
    if (job.isLost) {
      this.#forget(job);
    } else if (job.settlement.left === 0) {
      this.tryEnded(job);
    } else if (this.#isStopped || job.settlement.dueAtMs() > Date.now()) {
      this.#giveBack(job);
    } else {
      this.#ready[at](job);
      job.go('wait');
    }
    this.#options.loop.wake();
  }

  #giveBack(job: PushJob): void {
    const { store, work } = this.#options;
    work.follow(store.giveBack(this.queue, job).then(() => this.#forget(job)));
  }

  /** A renewal of the locks has found that another worker has the job. */
  #lose(job: PushJob): void {
    this.#options.store.lose(job, 'lost');
    const place = this.#ready.indexOf(job);
    if (place < 0) return;
    this.#ready.splice(place, 1);
    this.#forget(job);
  }

  #forget(job: PushJob): void {
    const { locks, budget, loop } = this.#options;
    if (job.isLost) job.span?.setFailed('lost');
    job.go('forget');
    this.#held.delete(job);
    locks.release(this.queue, job.taken);
    budget.release(this.queue.app, job.decoded.bytes);
    job.span?.end();
    loop.wake();
  }
}
