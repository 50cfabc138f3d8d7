import type { ConnectionAllowance, TransportFigures, TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import { type AppSlowed, type AppTrouble, byLane, type Lane, lanes } from '@pushfleet/push-queue';
import {
  type AppSight,
  DeadLetters,
  LaneQueue,
  type LockKeeper,
  type WatchedApp,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { Canaries, Canary } from '../canary/canary.ts';
import type { FleetMember } from '../fleet-member.ts';
import { AppTransport } from '../gateway/app-transport.ts';
import type { TransportFactory } from '../gateway/create-transport.ts';
import { JobIntake } from '../job/job-intake.ts';
import { JobStore } from '../job/job-store.ts';
import type { defaultRetryBackoffs } from '../job/retry-delay.ts';
import { AppLane } from '../lane/app-lane.ts';
import { Loop } from '../loop.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import { PendingWork } from '../pending-work.ts';
import { AppHealth } from '../standing/app-health.ts';
import { AppPauses } from '../standing/app-pauses.ts';
import type { JobSpans } from '../tracing/job-span.ts';
import { AppStanding } from './app-standing.ts';
import { type AppView, planStep, type Step } from './plan.ts';

export interface AppSenderOptions {
  readonly app: FleetApp;
  readonly credential: WatchedCredential;
  readonly transports: TransportFactory;
  /** What all apps share of connections. */
  readonly allowance: ConnectionAllowance;
  /** One for each lane: what bulk reads does not delay the transactional lane. */
  readonly links: Readonly<Record<Lane, WorkerLink>>;
  readonly workerId: string;
  readonly locks: LockKeeper;
  readonly budget: MemoryBudget;
  readonly metrics: AppMetrics;
  readonly backoffs: typeof defaultRetryBackoffs;
  readonly checkpointIntervalMs: number;
  readonly spans: JobSpans;
  /** Undefined: no app has a canary. */
  readonly canaries: Canaries | undefined;
  /** What the fleet is to know of this worker goes through it. */
  readonly fleet: FleetMember;
  readonly logger: Logger;
}

/**
 * Everything of one app in this worker: its lanes, its transport, its standing, and the one loop that moves push jobs
 * through them. A turn of the loop observes, has `planStep` say what to do next, does it, and observes again until there is
 * nothing to do. All the rest only wakes the loop. Nothing is shared with other apps but the memory budget, of which each
 * has its share.
 */
export class AppSender implements WatchedApp {
  readonly id: string;
  readonly queues: readonly LaneQueue[];
  readonly #options: AppSenderOptions;
  readonly #loop = new Loop(() => this.#turn());
  readonly #work: PendingWork;
  readonly #pauses: AppPauses;
  readonly #health = new AppHealth();
  readonly #transport: AppTransport;
  readonly #standing: AppStanding;
  readonly #intake: JobIntake;
  readonly #letters: DeadLetters;
  readonly #canary: Canary | undefined;
  readonly #lanes: Readonly<Record<Lane, AppLane>>;
  readonly #allLanes: readonly AppLane[];
  readonly #unsubscribe: () => void;
  /** The version of the pauses that was last applied. */
  #appliedPauses = 0;
  #isStopped = false;

  constructor(options: AppSenderOptions) {
    const { app, links, workerId, logger, canaries } = options;
    const link = links.transactional;
    const loop = this.#loop;
    const health = this.#health;
    this.id = app.id;
    this.#options = options;
    this.#work = new PendingWork(logger);
    const pauses = new AppPauses({ app: app.id, link, logger, loop });
    this.#pauses = pauses;
    this.#transport = new AppTransport({ ...options, pauses, loop });
    this.#standing = new AppStanding({ ...options, pauses, health, transport: this.#transport, loop });
    this.#unsubscribe = options.credential.onChange(() => this.#standing.renewCredential());
    this.#intake = new JobIntake({ ...options, verdicts: this.#standing });
    this.#letters = new DeadLetters(link, app.id, {
      retention: app.deadLetters,
      onTrimmed: (trimmed) =>
        logger.warn({ trimmed }, 'dead letters were deleted to keep within their bounds'),
    });
    this.#canary = canaries?.create(app, link, pauses, logger);
    const store = new JobStore({
      ...options,
      link,
      letters: this.#letters,
      health,
      pauses,
      canary: this.#canary,
    });
    const createLane = (lane: Lane) =>
      new AppLane({
        ...options,
        queue: new LaneQueue(links[lane], workerId, app.id, lane),
        transport: this.#transport.lanes[lane],
        intake: this.#intake,
        store,
        work: this.#work,
        loop,
      });
    this.#lanes = byLane(createLane);
    this.#allLanes = lanes.map((lane) => this.#lanes[lane]);
    this.queues = this.#allLanes.map(({ queue }) => queue);
  }

  /** States of its transports; none: it has had no work. */
  get states(): readonly TransportState[] {
    return this.#transport.transports.map(({ state }) => state);
  }

  /** What its transports have of connections, and want. */
  get figures(): readonly TransportFigures[] {
    return this.#transport.figures;
  }

  /** Why the fleet is paused, by cause. */
  get pauses(): Readonly<Record<string, string>> {
    return this.#pauses.reasons;
  }

  /** Why this worker takes nothing of the app, as it is now. */
  get trouble(): AppTrouble | undefined {
    return this.#pauses.trouble && (this.#transport.trouble ?? this.#pauses.trouble);
  }

  /** Why this worker sends only probes of the app. */
  get slowed(): AppSlowed | undefined {
    return this.#health.slowed;
  }

  /** Push jobs that this worker holds. */
  get held(): number {
    return this.#allLanes.reduce((sum, { held }) => sum + held.size, 0);
  }

  /** Whether a ring of the doorbell is reason to look at the app in Redis: its pauses may have changed, or are not known. */
  isLookDue(rung: string): boolean {
    return rung === 'control' || !this.#pauses.isKnown;
  }

  /** The doorbell has rung for this app. */
  ring(what: string): void {
    if (what === 'control') {
      this.#intake.noteCancellation();
      return;
    }
    const rung = this.#allLanes.find(({ lane }) => lane === what);
    if (rung === undefined) return;
    rung.ring();
    this.#loop.wake();
  }

  /** Asks the gateway now whether what keeps this worker from sending is over. */
  probeNow(): void {
    this.#pauses.probeSoon();
    this.#transport.probeNow();
    this.#loop.wake();
  }

  /** To be called now and then. Both times are of the same moment: see `Clock` of apns-client. */
  tick(nowMs: number, epochMs: number): void {
    this.#standing.tick(nowMs, epochMs);
  }

  seen(sight: AppSight): void {
    this.#pauses.update(sight.pauses);
    for (const [place, { waiting, nextAtMs }] of sight.lanes.entries()) {
      const lane = this.#allLanes[place]!;
      if (waiting > 0) lane.ring();
      if (nextAtMs !== undefined) lane.expectAt(nextAtMs);
    }
    this.#loop.wake();
  }

  /** Writes the progress of jobs down that have been at it for a while. */
  checkpoint(nowMs: number): void {
    for (const lane of this.#allLanes) lane.checkpoint(nowMs, this.#options.checkpointIntervalMs);
  }

  /** Ends the connections at once: what waits in their sockets may be another worker's by now. */
  cut(): void {
    this.#transport.cut();
  }

  /** Deletes dead letters that are older, or more, than they may be. @throws PushQueueError */
  async trimLetters(): Promise<void> {
    await this.#letters.trim(Date.now());
  }

  collectMetrics(): void {
    const { transports } = this.#transport;
    if (transports.length === 0) return;
    this.#options.metrics.collect(transports, this.figures, this.#lanes);
  }

  /**
   * Takes nothing any more, gives back what has not been handed over, and drains the transport. Resolves when
   * everything that was taken is where it belongs.
   */
  async stop(drainTimeoutMs: number): Promise<void> {
    this.#isStopped = true;
    for (const lane of this.#allLanes) lane.stop();
    this.#unsubscribe();
    await this.#canary?.stop();
    await this.#transport.drain(drainTimeoutMs);
    await this.#work.ended();
  }

  #turn(): void {
    for (;;) {
      this.#applyPauses();
      const step = this.#isStopped ? undefined : planStep(this.#observe());
      if (step === undefined) return;
      this.#act(step);
    }
  }

  #applyPauses(): void {
    if (this.#pauses.version === this.#appliedPauses) return;
    this.#appliedPauses = this.#pauses.version;
    this.#standing.applyPauses();
    if (!this.#pauses.isTripped) return;
    for (const { held } of this.#allLanes) for (const job of held) job.settlement.withholdEvidence();
  }

  #observe(): AppView {
    const { isRestricted, probe, isRecallDue } = this.#standing;
    return {
      isRestricted,
      probe,
      dueProbe: isRestricted ? this.#standing.dueProbe(performance.now(), Date.now()) : undefined,
      isRecallDue,
      mayHoldMore: this.#options.budget.mayHoldMore(this.id),
      lanes: { transactional: this.#lanes.transactional.view, bulk: this.#lanes.bulk.view },
    };
  }

  #act(step: Step): void {
    switch (step.kind) {
      case 'recall':
        this.#standing.noteRecall();
        this.#transport.recall();
        break;
      case 'end-probe':
        this.#standing.endProbe(performance.now());
        break;
      case 'give-back':
        this.#lanes[step.lane].giveReadyBack();
        break;
      case 'open-transport':
        this.#transport.lanes[step.lane].open();
        break;
      case 'announce':
        this.#lanes[step.lane].announceFirst();
        break;
      case 'check':
        this.#lanes[step.lane].checkFirst();
        break;
      case 'hand-over':
        this.#standing.handOver(performance.now());
        this.#lanes[step.lane].handOverFirst(step.most);
        break;
      case 'take':
        if (step.probe !== undefined) this.#standing.armProbe(step.probe);
        this.#lanes[step.lane].take();
        break;
      default:
        step satisfies never;
    }
  }
}
