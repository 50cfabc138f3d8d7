import type { ConnectionEnd, TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import { type AppSlowed, type AppTrouble, type Lane, lanes, type SlowCause } from '@pushfleet/push-queue';
import {
  type AppSight,
  DeadLetters,
  LaneQueue,
  type LockKeeper,
  type WatchedApp,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { Canary, CreateCanary } from '../canary/canary.ts';
import { AppTransport } from '../gateway/app-transport.ts';
import type { CreateTransport } from '../gateway/create-transport.ts';
import type { ActiveJob, ActiveJobEvents } from '../job/active-job.ts';
import { JobEnd } from '../job/job-end.ts';
import { JobIntake } from '../job/job-intake.ts';
import type { defaultRetryBackoffs } from '../job/retry-delay.ts';
import { AppLane } from '../lane/app-lane.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { JobSpans } from '../tracing/job-span.ts';
import { AppHealth } from './app-health.ts';
import { AppPauses } from './app-pauses.ts';
import { slowCauseOf } from './slow-cause.ts';

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
  /** Undefined: no app has a canary. */
  readonly createCanary?: CreateCanary | undefined;
  readonly logger: Logger;
  /** What the fleet is to know of this worker has changed: its trouble, or that it is slowed. */
  readonly onStanding: () => void;
}

/** One push job that is out to try whether a trouble is over. */
interface Probe {
  readonly about: 'pause' | 'health';
  /** Notifications of it that may be handed over. */
  readonly most: number;
  isHandedOver: boolean;
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
  readonly #canary: Canary | undefined;
  /** What goes on in Redis; a stop waits for it. */
  readonly #pending = new Set<Promise<void>>();
  readonly #health = new AppHealth();
  /** While it is out, no other push job is taken. */
  #probe: Probe | undefined;
  /** What the transport has not written is to come back. */
  #isRecallDue = false;
  /** The published hold whose end has been used to ask the gateway, epoch milliseconds. */
  #probedHoldMs = 0;
  /** Too many tokens were called invalid, here or at another worker. */
  #isTripped = false;
  #toldTrouble: AppTrouble | undefined;
  #pumpScheduled = false;
  #stopped = false;

  constructor(options: AppSenderOptions) {
    const { app, links, workerId, logger } = options;
    const link = links.transactional;
    this.id = app.id;
    this.#options = options;
    options.metrics.setPaused(new Set());
    this.#pauses = new AppPauses({
      app: app.id,
      link,
      logger,
      onChange: () => this.#pausesChanged(),
    });
    const onChange = () => this.#schedulePump();
    this.#transport = new AppTransport({ ...options, pauses: this.#pauses, onChange });
    const events: ActiveJobEvents = {
      leftQueue: (lane, notifications) => this.#transport.leftQueue(lane, notifications),
      tryEnded: (job) => this.#lanes.find(({ lane }) => lane === job.decoded.lane)!.tryEnded(job),
      decided: (accepted, answer) => {
        this.#transport.recordDecision(accepted, answer);
        this.#health.recordGood(answer === undefined ? accepted : 1, performance.now());
        if (this.#probe?.about === 'pause') this.#pauses.lift();
      },
      // Whosever fault the gateway calls it: when it is the rule, it is the gateway's.
      refused: ({ retryAfterMs }) => this.#troubled('answers', 1, retryAfterMs),
      // What a transport sends again by itself is no trouble of the app yet: it slows down by itself.
      uncertain: (notifications, cause) => this.#doubted(notifications, cause),
    };
    this.#intake = new JobIntake({ ...options, events });
    this.#letters = new DeadLetters(link, app.id, {
      retention: app.deadLetters,
      onTrimmed: (trimmed) => logger.warn({ trimmed }, 'dead letters went to keep within their bounds'),
    });
    const canary = options.createCanary?.(app, link, () => this.#pauses.rests, logger);
    this.#canary = canary;
    const jobEnd = new JobEnd({
      ...options,
      link,
      letters: this.#letters,
      // When errors are the rule, they are the gateway's.
      countsTries: () => this.#health.slowed === undefined,
      ...(canary === undefined
        ? {}
        : {
            onReported: ({ decoded, settlement }, seconds) =>
              canary.settled(decoded, settlement.exceptions[0], seconds),
          }),
    });
    this.#lanes = lanes.map(
      (lane) =>
        new AppLane({
          ...options,
          lane,
          queue: new LaneQueue(links[lane], workerId, app.id, lane),
          intake: this.#intake,
          jobEnd,
          mayTake: (ahead) => this.#mayTake(lane, ahead),
          mayWait: () => !this.#stopped && (!this.#isRestricted || this.#probe !== undefined),
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

  /** Why the fleet rests, by cause. */
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

  /** The doorbell has rung for this app. */
  ring(what: string): void {
    if (what === 'control') {
      this.#intake.ring();
      return;
    }
    const rung = this.#lanes.find(({ lane }) => lane === what);
    if (rung === undefined) return;
    rung.ring();
    this.#schedulePump();
  }

  /** Whether a ring of the doorbell is reason to look at the app in Redis: its pauses may have changed, or are not known. */
  isLookDue(rung: string): boolean {
    return rung === 'control' || !this.#pauses.isKnown;
  }

  /** Asks the gateway now whether what this worker rests for is over. */
  probeNow(): void {
    this.#pauses.probeSoon();
    this.#transport.probeNow();
    this.#schedulePump();
  }

  /** To be called now and then. Both times are of the same moment: see `Clock` of apns-client. */
  tick(nowMs: number, epochMs: number): void {
    const before = this.#health.slowed;
    this.#health.tick(nowMs);
    if (before !== undefined) this.#healthChanged(before);
    this.#transport.tick(epochMs);
    const { holdUntilMs = 0 } = this.#pauses;
    if (holdUntilMs > this.#probedHoldMs && epochMs >= holdUntilMs) {
      // The fleet's hold ends for all; one that began here with a restart ends with it.
      this.#probedHoldMs = holdUntilMs;
      this.#transport.probeNow();
    }
    if (this.#isRestricted) this.#schedulePump();
  }

  seen(sight: AppSight): void {
    this.#pauses.update(sight.pauses);
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
    await this.#canary?.stop();
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
    const nowMs = performance.now();
    if (this.#isRecallDue) this.#transport.recall();
    this.#isRecallDue = false;
    if (this.#isIdle) this.#endProbe(nowMs);
    for (const lane of this.#lanes) {
      if (lane.hasReady) this.#transport.open(lane.lane);
      lane.submitReady(
        () => this.#maySubmit(lane.lane),
        (job) => this.#submit(lane.lane, job, nowMs),
      );
    }
    if (this.#isRestricted && this.#isIdle) this.#probe = this.#nextProbe(nowMs);
    for (const lane of this.#lanes) lane.take();
    // There is no job to probe with.
    if (this.#isIdle) this.#probe = undefined;
  }

  get #isIdle(): boolean {
    return this.#lanes.every(({ isIdle }) => isIdle);
  }

  /** Nothing but probes may be sent. */
  get #isRestricted(): boolean {
    return this.#pauses.rests || this.#health.slowed !== undefined;
  }

  #mayTake(lane: Lane, ahead: number): boolean {
    if (this.#stopped || ahead >= readyAhead) return false;
    if (this.#probe !== undefined) return this.#isIdle && this.#transport.roomFor(lane) > 0;
    if (this.#isRestricted || !this.#options.budget.mayHoldMore(this.id)) return false;
    return this.#transport.roomFor(lane) - ahead * roomPerJob > 0;
  }

  #maySubmit(lane: Lane): boolean {
    if (this.#isRestricted && this.#probe?.isHandedOver !== false) return false;
    return this.#transport.maySubmit(lane);
  }

  #submit(lane: Lane, job: ActiveJob, nowMs: number): void {
    const probe = this.#probe;
    if (probe !== undefined) {
      probe.isHandedOver = true;
      if (probe.about === 'health') this.#health.beginProbe();
      else this.#pauses.noteProbe(nowMs);
    }
    this.#transport.submit(lane, job.beginTry(this.#options.app.transport, probe?.most));
  }

  /** What may be tried now although the app is restricted; undefined: nothing. */
  #nextProbe(nowMs: number): Probe | undefined {
    if (this.#pauses.rests) {
      const isDue = this.#pauses.isProbeDue(nowMs, Date.now());
      return isDue ? { about: 'pause', most: 1, isHandedOver: false } : undefined;
    }
    if (!this.#health.isProbeDue(nowMs)) return undefined;
    return { about: 'health', most: this.#health.allowance, isHandedOver: false };
  }

  /** Everything of the probe has come back, if there was one. */
  #endProbe(nowMs: number): void {
    const before = this.#health.slowed;
    this.#probe = undefined;
    this.#health.endProbe(nowMs);
    if (before !== undefined) this.#healthChanged(before);
  }

  #doubted(notifications: number, end: ConnectionEnd): void {
    const cause = slowCauseOf(end);
    if (cause !== undefined) this.#troubled(cause, notifications);
  }

  /** So many notifications met with trouble that is not theirs. */
  #troubled(cause: SlowCause, notifications: number, retryAfterMs?: number): void {
    const before = this.#health.slowed;
    this.#health.recordTrouble(cause, notifications, performance.now(), Date.now(), retryAfterMs);
    if (before === undefined) this.#healthChanged(before);
  }

  #healthChanged(before: AppSlowed | undefined): void {
    const { slowed } = this.#health;
    if (slowed === before) return;
    const { metrics, logger, onStanding } = this.#options;
    metrics.setSlowed(slowed);
    if (slowed === undefined) {
      logger.info('the gateway serves the app again: it is slowed no more');
    } else {
      logger.warn({ cause: slowed.cause }, 'the gateway is in trouble: the app is slowed');
      for (const lane of this.#lanes) lane.giveReadyBack();
      // Not at once: it is the transport that tells of the trouble.
      this.#isRecallDue = true;
    }
    onStanding();
    this.#schedulePump();
  }

  #pausesChanged(): void {
    const { causes, trouble, rests } = this.#pauses;
    if (this.#probe?.isHandedOver === false) this.#probe = undefined;
    this.#options.metrics.setPaused(causes);
    this.#options.metrics.setUnable(trouble?.about);
    if (causes.has('invalid-tokens')) {
      for (const { held } of this.#lanes) for (const job of held) job.settlement.withholdEvidence();
    } else if (this.#isTripped) {
      this.#transport.resetBreaker();
    }
    this.#isTripped = causes.has('invalid-tokens');
    if (rests) for (const lane of this.#lanes) lane.giveReadyBack();
    if (trouble !== this.#toldTrouble) this.#options.onStanding();
    this.#toldTrouble = trouble;
    this.#schedulePump();
  }

  #follow(work: Promise<void>): void {
    const followed = work
      .catch((err: unknown) => this.#options.logger.error({ err }, 'a push job was left behind'))
      .finally(() => this.#pending.delete(followed));
    this.#pending.add(followed);
  }
}
