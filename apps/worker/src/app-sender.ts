import type { TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import { type Lane, lanes, type PauseCause } from '@pushfleet/push-queue';
import {
  type AppSight,
  DeadLetters,
  LaneQueue,
  type LockKeeper,
  PoisonedJobError,
  type TakenJob,
  type WatchedApp,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { ActiveJob, ActiveJobEvents } from './active-job.ts';
import type { AppMetrics } from './app-metrics.ts';
import { AppPauses } from './app-pauses.ts';
import { AppTransport } from './app-transport.ts';
import type { CreateTransport } from './create-transport.ts';
import { JobEnd } from './job-end.ts';
import { JobIntake } from './job-intake.ts';
import { LaneFeed } from './lane-feed.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { RetryBackoff } from './retry-delay.ts';

export interface AppSenderOptions {
  readonly app: FleetApp;
  readonly credential: WatchedCredential;
  readonly createTransport: CreateTransport;
  /** One for each lane: what bulk reads does not delay the transactional lane. */
  readonly links: Readonly<Record<Lane, WorkerLink>>;
  readonly workerId: string;
  readonly locks: LockKeeper;
  readonly budget: MemoryBudget;
  readonly metrics: AppMetrics;
  readonly backoff: RetryBackoff;
  readonly checkpointIntervalMs: number;
  readonly logger: Logger;
}

/** Push jobs that are ready and not handed over, by lane: what keeps the transport busy while Redis answers. */
const readyAhead = 8;
/** About what one job takes of the transport's room. */
const roomPerJob = 1_000;

interface LaneState {
  readonly lane: Lane;
  readonly queue: LaneQueue;
  readonly feed: LaneFeed;
  /** Waits to be handed over, oldest first. */
  readonly ready: ActiveJob[];
  /** Taken, or taken out of `ready`, and on its way there. */
  preparing: number;
  /** All that this worker holds. */
  readonly active: Set<ActiveJob>;
}

/**
 * Everything of one app in this worker: its lanes, its transport, its pauses. Nothing of it is shared with other apps
 * but the memory budget, of which each has its share.
 */
export class AppSender implements WatchedApp {
  readonly id: string;
  readonly queues: readonly LaneQueue[];
  readonly #options: AppSenderOptions;
  readonly #lanes: readonly LaneState[];
  readonly #pauses: AppPauses;
  readonly #transport: AppTransport;
  readonly #intake: JobIntake;
  readonly #jobEnd: JobEnd;
  /** What goes on in Redis; a stop waits for it. */
  readonly #pending = new Set<Promise<void>>();
  /** One job is out to try whether a trouble is over. */
  #isProbing = false;
  /** Too many tokens were called invalid, here or at another worker. */
  #isTripped = false;
  #pumpScheduled = false;
  #stopped = false;

  constructor(options: AppSenderOptions) {
    const { app, links, workerId, logger } = options;
    const link = links.transactional;
    this.id = app.id;
    this.#options = options;
    options.metrics.paused(new Set());
    this.#lanes = lanes.map((lane) =>
      this.#createLane(lane, new LaneQueue(links[lane], workerId, app.id, lane)),
    );
    this.queues = this.#lanes.map(({ queue }) => queue);
    this.#pauses = new AppPauses({
      app: app.id,
      link,
      logger,
      onChange: (causes) => this.#pausesChanged(causes),
    });
    const onChange = () => this.#schedulePump();
    this.#transport = new AppTransport({ ...options, pauses: this.#pauses, onChange });
    const events: ActiveJobEvents = {
      leftQueue: (lane, notifications) => this.#transport.leftQueue(lane, notifications),
      tryEnded: (job) => this.#tryEnded(job),
      decided: (accepted, answer) => {
        this.#transport.decided(accepted, answer);
        if (this.#isProbing && accepted > 0) this.#pauses.lift();
      },
    };
    this.#intake = new JobIntake({ ...options, events });
    this.#jobEnd = new JobEnd({ ...options, link, letters: new DeadLetters(link, app.id) });
  }

  /** States of its transports; none: it has had no work. */
  get states(): readonly TransportState[] {
    return this.#transport.transports.map(({ state }) => state);
  }

  /** Why the app rests, by cause. */
  get pauses(): Readonly<Record<string, string>> {
    return this.#pauses.describe();
  }

  /** The doorbell has rung for this app. Gives whether to look at it. */
  ring(what: string): boolean {
    if (what === 'control') {
      this.#intake.ring();
      return true;
    }
    const rung = this.#lanes.find(({ lane }) => lane === what);
    rung?.feed.ring();
    if (rung !== undefined) this.#schedulePump();
    return false;
  }

  seen(sight: AppSight): void {
    this.#pauses.read(sight.pauses);
    for (const [place, { waiting, nextAtMs }] of sight.lanes.entries()) {
      const { feed } = this.#lanes[place]!;
      if (waiting > 0) feed.ring();
      if (nextAtMs !== undefined) feed.expectAt(nextAtMs);
    }
    this.#schedulePump();
  }

  /** Writes the progress of jobs down that have been at it for a while. */
  checkpoint(nowMs: number): void {
    for (const { queue, active } of this.#lanes) {
      for (const job of active) {
        const { outstanding, changes } = job.settlement;
        if (changes === job.checkpointedChanges || outstanding === 0 || job.isLost) continue;
        if (nowMs - job.checkpointedAtMs < this.#options.checkpointIntervalMs) continue;
        this.#follow(this.#jobEnd.checkpoint(queue, job, nowMs));
      }
    }
  }

  collectMetrics(): void {
    const { transports } = this.#transport;
    if (transports.length === 0) return;
    const active = this.#lanes.map((state) => [state.lane, state.active.size]);
    this.#options.metrics.collect(transports, Object.fromEntries(active) as Record<Lane, number>);
  }

  /**
   * Takes nothing any more, gives back what has not been handed over, and drains the transport. Resolves when
   * everything that was taken is where it belongs.
   */
  async stop(drainTimeoutMs: number): Promise<void> {
    this.#stopped = true;
    for (const lane of this.#lanes) this.#giveReadyBack(lane);
    const drained = this.#transport.drain(drainTimeoutMs);
    await Promise.all([drained, ...this.#lanes.map(async ({ feed }) => feed.stop())]);
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Push jobs that this worker holds. */
  get held(): number {
    return this.#lanes.reduce((sum, { active }) => sum + active.size, 0);
  }

  #createLane(lane: Lane, queue: LaneQueue): LaneState {
    const feed = new LaneFeed({
      queue,
      mayTake: (beingTaken) => this.#mayTake(state, beingTaken),
      controlRings: () => this.#intake.controlRings,
      onTaken: (job, controlRings) => this.#follow(this.#prepare(state, job, controlRings)),
      onChange: () => this.#schedulePump(),
      onError: (err) => this.#options.logger.debug({ err }, 'a push job could not be taken'),
    });
    const state: LaneState = { lane, queue, feed, ready: [], preparing: 0, active: new Set() };
    return state;
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  /** Transactional first: what it hands over, and what it takes. */
  #pump(): void {
    if (this.#stopped) return;
    for (const lane of this.#lanes) {
      while (lane.ready.length > 0 && this.#maySubmit(lane.lane)) this.#submit(lane, lane.ready.shift()!);
    }
    for (const { feed } of this.#lanes) feed.feed();
  }

  #mayTake(lane: LaneState, beingTaken: number): boolean {
    const ahead = lane.ready.length + lane.preparing + beingTaken;
    if (this.#stopped || ahead >= readyAhead) return false;
    if (this.#pauses.rests) return this.#mayProbe(lane.lane, ahead);
    if (!this.#options.budget.mayHoldMore(this.id)) return false;
    return this.#transport.roomFor(lane.lane) - ahead * roomPerJob > 0 && !this.#pauses.rests;
  }

  #mayProbe(lane: Lane, ahead: number): boolean {
    if (ahead > 0 || this.#isProbing || this.#lanes.some(({ active }) => active.size > 0)) return false;
    if (this.#transport.roomFor(lane) <= 0 || !this.#pauses.takeProbe(Date.now())) return false;
    this.#isProbing = true;
    return true;
  }

  #maySubmit(lane: Lane): boolean {
    return (!this.#pauses.rests || this.#isProbing) && this.#transport.maySubmit(lane);
  }

  /** Decodes a job, ends what of it needs no gateway, and puts it among those that are ready. */
  async #prepare(lane: LaneState, taken: TakenJob, controlRings: number): Promise<void> {
    let job: ActiveJob;
    try {
      job = this.#intake.open(lane.lane, taken, controlRings);
    } catch (error) {
      if (!(error instanceof PoisonedJobError)) throw error;
      await this.#jobEnd.bury(lane.queue, taken, error);
      this.#endProbe();
      return;
    }
    this.#options.budget.take(this.id, job.decoded.bytes);
    lane.active.add(job);
    this.#options.locks.hold(lane.queue, taken, () => this.#lost(lane, job));
    if (this.#intake.isFresh(job)) this.#makeReady(lane, job, 'push');
    else await this.#refresh(lane, job, 'push');
  }

  /** Looks again at what is cancelled of a job. */
  async #refresh(lane: LaneState, job: ActiveJob, at: 'push' | 'unshift'): Promise<void> {
    lane.preparing++;
    await this.#intake.refresh(lane.queue.link, job);
    lane.preparing--;
    this.#makeReady(lane, job, at);
  }

  #makeReady(lane: LaneState, job: ActiveJob, at: 'push' | 'unshift'): void {
    if (job.isLost) this.#forget(lane, job);
    else if (job.settlement.left === 0) this.#tryEnded(job);
    else if (this.#stopped || (this.#pauses.rests && !this.#isProbing)) this.#giveBack(lane, job);
    else lane.ready[at](job);
    this.#schedulePump();
  }

  #submit(lane: LaneState, job: ActiveJob): void {
    if (this.#intake.isFresh(job)) {
      this.#transport.submit(lane.lane, job.beginTry(this.#options.app.transport));
    } else {
      this.#follow(this.#refresh(lane, job, 'unshift'));
    }
  }

  #tryEnded(job: ActiveJob): void {
    const lane = this.#lanes.find((each) => each.lane === job.decoded.lane)!;
    this.#follow(this.#jobEnd.end(lane.queue, job).then(() => this.#forget(lane, job)));
  }

  #giveBack(lane: LaneState, job: ActiveJob): void {
    this.#follow(this.#jobEnd.giveBack(lane.queue, job).then(() => this.#forget(lane, job)));
  }

  #giveReadyBack(lane: LaneState): void {
    for (const job of lane.ready.splice(0)) this.#giveBack(lane, job);
  }

  /** Another worker has it: our silence was taken for death. */
  #lost(lane: LaneState, job: ActiveJob): void {
    job.isLost = true;
    this.#options.logger.warn({ jobId: job.taken.id }, 'a push job was lost to another worker');
    const place = lane.ready.indexOf(job);
    if (place < 0) return;
    lane.ready.splice(place, 1);
    this.#forget(lane, job);
  }

  #forget(lane: LaneState, job: ActiveJob): void {
    if (!lane.active.delete(job)) return;
    this.#options.locks.release(lane.queue, job.taken);
    this.#options.budget.release(this.id, job.decoded.bytes);
    this.#endProbe();
    this.#schedulePump();
  }

  #endProbe(): void {
    if (this.#lanes.every(({ active }) => active.size === 0)) this.#isProbing = false;
  }

  #pausesChanged(causes: ReadonlySet<PauseCause>): void {
    this.#options.metrics.paused(causes);
    if (causes.has('invalid-tokens')) {
      for (const { active } of this.#lanes) for (const job of active) job.settlement.withholdEvidence();
    } else if (this.#isTripped) {
      this.#transport.resetBreaker();
    }
    this.#isTripped = causes.has('invalid-tokens');
    if (causes.size > 0) for (const lane of this.#lanes) this.#giveReadyBack(lane);
    this.#schedulePump();
  }

  #follow(work: Promise<void>): void {
    const followed = work
      .catch((err: unknown) => this.#options.logger.error({ err }, 'a push job was left behind'))
      .finally(() => this.#pending.delete(followed));
    this.#pending.add(followed);
  }
}
