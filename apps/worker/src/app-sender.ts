import type { TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import { type Lane, lanes, type PauseCause } from '@pushfleet/push-queue';
import {
  type AppSight,
  DeadLetters,
  LaneQueue,
  type LockKeeper,
  type WatchedApp,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { ActiveJobEvents } from './active-job.ts';
import { AppLane } from './app-lane.ts';
import type { AppMetrics } from './app-metrics.ts';
import { AppPauses } from './app-pauses.ts';
import { AppTransport } from './app-transport.ts';
import type { CreateTransport } from './create-transport.ts';
import { JobEnd } from './job-end.ts';
import { JobIntake } from './job-intake.ts';
import type { JobSpans } from './job-span.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { defaultRetryBackoffs } from './retry-delay.ts';

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
  readonly backoffs: typeof defaultRetryBackoffs;
  readonly checkpointIntervalMs: number;
  readonly spans: JobSpans;
  readonly logger: Logger;
}

/** Push jobs that are ready and not handed over, by lane: what keeps the transport busy while Redis answers. */
const readyAhead = 8;
/** About what one job takes of the transport's room. */
const roomPerJob = 1_000;

/**
 * Everything of one app in this worker: its lanes, its transport, its pauses. Nothing of it is shared with other apps
 * but the memory budget, of which each has its share.
 */
export class AppSender implements WatchedApp {
  readonly id: string;
  readonly queues: readonly LaneQueue[];
  readonly #options: AppSenderOptions;
  /** In their order of precedence. */
  readonly #lanes: readonly AppLane[];
  readonly #pauses: AppPauses;
  readonly #transport: AppTransport;
  readonly #intake: JobIntake;
  readonly #letters: DeadLetters;
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
      tryEnded: (job) => this.#lanes.find(({ lane }) => lane === job.decoded.lane)!.tryEnded(job),
      decided: (accepted, answer) => {
        this.#transport.decided(accepted, answer);
        if (this.#isProbing && accepted > 0) this.#pauses.lift();
      },
    };
    this.#intake = new JobIntake({ ...options, events });
    this.#letters = new DeadLetters(link, app.id, {
      retention: app.deadLetters,
      onTrimmed: (trimmed) => logger.warn({ trimmed }, 'dead letters went to keep within their bounds'),
    });
    const jobEnd = new JobEnd({ ...options, link, letters: this.#letters, countsTries: () => true });
    this.#lanes = lanes.map(
      (lane) =>
        new AppLane({
          ...options,
          lane,
          queue: new LaneQueue(links[lane], workerId, app.id, lane),
          intake: this.#intake,
          jobEnd,
          mayTake: (ahead) => this.#mayTake(lane, ahead),
          mayWait: () => !this.#stopped && (!this.#pauses.rests || this.#isProbing),
          onChange,
          announces: app.onUncertain === 'drop',
          follow: (work) => this.#follow(work),
        }),
    );
    this.queues = this.#lanes.map(({ queue }) => queue);
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
    rung?.ring();
    if (rung !== undefined) this.#schedulePump();
    return false;
  }

  seen(sight: AppSight): void {
    this.#pauses.read(sight.pauses);
    for (const [place, { waiting, nextAtMs }] of sight.lanes.entries()) {
      const lane = this.#lanes[place]!;
      if (waiting > 0) lane.ring();
      if (nextAtMs !== undefined) lane.expectAt(nextAtMs);
    }
    this.#schedulePump();
  }

  /** Writes the progress of jobs down that have been at it for a while. */
  checkpoint(nowMs: number): void {
    for (const lane of this.#lanes) lane.checkpoint(nowMs, this.#options.checkpointIntervalMs);
  }

  /** Ends the connections at once: what waits in their sockets may be another worker's by now. */
  cut(): void {
    this.#transport.cut();
  }

  /** Lets dead letters go that are older, or more, than they may be. Throws `PushQueueError`. */
  async trimLetters(): Promise<void> {
    await this.#letters.trim(Date.now());
  }

  collectMetrics(): void {
    const { transports } = this.#transport;
    if (transports.length === 0) return;
    const active = this.#lanes.map(({ lane, held }) => [lane, held.size]);
    this.#options.metrics.collect(transports, Object.fromEntries(active) as Record<Lane, number>);
  }

  /**
   * Takes nothing any more, gives back what has not been handed over, and drains the transport. Resolves when
   * everything that was taken is where it belongs.
   */
  async stop(drainTimeoutMs: number): Promise<void> {
    this.#stopped = true;
    const lanesStopped = this.#lanes.map(async (lane) => lane.stop());
    await Promise.all([this.#transport.drain(drainTimeoutMs), ...lanesStopped]);
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Push jobs that this worker holds. */
  get held(): number {
    return this.#lanes.reduce((sum, { held }) => sum + held.size, 0);
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
    if (this.#isProbing && this.#lanes.every(({ isIdle }) => isIdle)) this.#isProbing = false;
    for (const lane of this.#lanes) {
      lane.submitReady(
        () => this.#maySubmit(lane.lane),
        (job) => this.#transport.submit(lane.lane, job.beginTry(this.#options.app.transport)),
      );
    }
    for (const lane of this.#lanes) lane.take();
  }

  #mayTake(lane: Lane, ahead: number): boolean {
    if (this.#stopped || ahead >= readyAhead) return false;
    if (this.#pauses.rests) return this.#mayProbe(lane);
    if (!this.#options.budget.mayHoldMore(this.id)) return false;
    return this.#transport.roomFor(lane) - ahead * roomPerJob > 0 && !this.#pauses.rests;
  }

  /** One job tries whether a trouble that another worker has found is over. */
  #mayProbe(lane: Lane): boolean {
    if (this.#isProbing || this.#lanes.some(({ isIdle }) => !isIdle)) return false;
    if (this.#transport.roomFor(lane) <= 0 || !this.#pauses.takeProbe(performance.now())) return false;
    this.#isProbing = true;
    return true;
  }

  #maySubmit(lane: Lane): boolean {
    return (!this.#pauses.rests || this.#isProbing) && this.#transport.maySubmit(lane);
  }

  #pausesChanged(causes: ReadonlySet<PauseCause>): void {
    this.#options.metrics.paused(causes);
    if (causes.has('invalid-tokens')) {
      for (const { held } of this.#lanes) for (const job of held) job.settlement.withholdEvidence();
    } else if (this.#isTripped) {
      this.#transport.resetBreaker();
    }
    this.#isTripped = causes.has('invalid-tokens');
    if (causes.size > 0) for (const lane of this.#lanes) lane.giveReadyBack();
    this.#schedulePump();
  }

  #follow(work: Promise<void>): void {
    const followed = work
      .catch((err: unknown) => this.#options.logger.error({ err }, 'a push job was left behind'))
      .finally(() => this.#pending.delete(followed));
    this.#pending.add(followed);
  }
}
