import type { GatewayAnswer, Transport, TransportObserver, TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import {
  type AppPause,
  type Lane,
  lanes,
  type PauseCause,
  parsePushJobId,
  readCancellation,
} from '@pushfleet/push-queue';
import {
  type AppSight,
  DeadLetters,
  decodePushJob,
  LaneQueue,
  type LockKeeper,
  PoisonedJobError,
  payloadLimit,
  Settlement,
  type TakenJob,
  valueAt,
  type WatchedApp,
  type WorkerLink,
} from '@pushfleet/push-queue/worker';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import { ActiveJob, type ActiveJobEvents } from './active-job.ts';
import type { AppMetrics } from './app-metrics.ts';
import type { CreateTransport } from './create-transport.ts';
import { JobEnd } from './job-end.ts';
import { LaneFeed } from './lane-feed.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { RetryBackoff } from './retry-delay.ts';

export interface AppSenderOptions {
  readonly app: FleetApp;
  readonly credential: WatchedCredential;
  readonly createTransport: CreateTransport;
  readonly link: WorkerLink;
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
/**
 * Notifications that may wait in the transport to be written. What waits there is before whatever comes after, so
 * bulk waits outside: a few milliseconds of line rate inside.
 */
const mostUnwritten: Readonly<Record<Lane, number>> = { transactional: 10_000, bulk: 3_000 };
/** Share of the in-flight windows that bulk leaves to the transactional lane. */
const bulkReserve = 0.1;
/** A cancellation read before this long ago is read again before the job is handed over. */
const cancellationLifeMs = 1_000;

interface LaneState {
  readonly lane: Lane;
  readonly queue: LaneQueue;
  readonly feed: LaneFeed;
  readonly ready: ActiveJob[];
  /** Taken and not yet ready. */
  preparing: number;
  readonly active: Set<ActiveJob>;
}

/** Everything of one app in this worker: its lanes, its transport, its pauses. Nothing of it is shared with others. */
export class AppSender implements WatchedApp {
  readonly id: string;
  readonly queues: readonly LaneQueue[];
  readonly #options: AppSenderOptions;
  readonly #lanes: readonly LaneState[];
  readonly #jobEnd: JobEnd;
  readonly #events: ActiveJobEvents;
  readonly #endings = new Set<Promise<void>>();
  #transport: Transport | undefined;
  #pauses: readonly AppPause[] = [];
  /** Handed over and still in the transport's queue. */
  #unwritten = 0;
  #controlRings = 0;
  #pumpScheduled = false;
  #stopped = false;

  constructor(options: AppSenderOptions) {
    const { app, link, workerId, locks, metrics, backoff, logger } = options;
    this.id = app.id;
    this.#options = options;
    this.#events = {
      leftQueue: (notifications) => {
        this.#unwritten -= notifications;
        this.#schedulePump();
      },
      tryEnded: (job) => this.#tryEnded(job),
      decided: (accepted, answer) => this.#decided(accepted, answer),
    };
    this.#lanes = lanes.map((lane) => this.#createLane(lane, new LaneQueue(link, workerId, app.id, lane)));
    this.queues = this.#lanes.map(({ queue }) => queue);
    this.#jobEnd = new JobEnd({
      app,
      link,
      letters: new DeadLetters(link, app.id),
      locks,
      metrics,
      backoff,
      logger,
      withholdsEvidence: () => false,
    });
  }

  get pauses(): readonly AppPause[] {
    return this.#pauses;
  }

  get state(): TransportState {
    return this.#transport?.state ?? { kind: 'idle' };
  }

  /** The doorbell has rung for this app. */
  ring(what: string): 'look' | undefined {
    if (what === 'control') {
      this.#controlRings++;
      return 'look';
    }
    const lane = this.#lanes.find((each) => each.lane === what);
    if (lane !== undefined) {
      lane.feed.ring();
      this.#pump();
    }
    return undefined;
  }

  seen(sight: AppSight): void {
    this.#setPauses(sight.pauses);
    for (const [place, { waiting, nextAtMs }] of sight.lanes.entries()) {
      const { feed } = this.#lanes[place]!;
      if (waiting > 0) feed.ring();
      if (nextAtMs !== undefined) feed.expectAt(nextAtMs);
    }
    this.#pump();
  }

  /** Writes the progress of jobs down that have been at it for a while. */
  checkpoint(nowMs: number): void {
    for (const { queue, active } of this.#lanes) {
      for (const job of active) {
        if (job.settlement.changes === job.checkpointedChanges || job.settlement.outstanding === 0) continue;
        if (nowMs - job.checkpointedAtMs < this.#options.checkpointIntervalMs) continue;
        this.#follow(this.#jobEnd.checkpoint(queue, job, nowMs));
      }
    }
  }

  collectMetrics(): void {
    const jobsActive = Object.fromEntries(
      this.#lanes.map(({ lane, active }) => [lane, active.size]),
    ) as Record<Lane, number>;
    if (this.#transport !== undefined) this.#options.metrics.collect(this.#transport, jobsActive);
  }

  /**
   * Takes nothing any more, gives back what has not been handed over, and drains the transport. Resolves when
   * everything that was taken is where it belongs.
   */
  async stop(drainTimeoutMs: number): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes.map(({ feed }) => feed.stop()));
    for (const lane of this.#lanes) {
      for (const job of lane.ready.splice(0)) this.#giveBack(lane, job);
    }
    await this.#transport?.drain(drainTimeoutMs);
    while (this.#endings.size > 0) await Promise.all(this.#endings);
  }

  #createLane(lane: Lane, queue: LaneQueue): LaneState {
    const state: LaneState = {
      lane,
      queue,
      ready: [],
      preparing: 0,
      active: new Set(),
      feed: new LaneFeed({
        queue,
        mayTake: (beingTaken) => this.#mayTake(state, beingTaken),
        onTaken: (job) => this.#follow(this.#prepare(state, job)),
        onChange: () => this.#schedulePump(),
        onError: (err) => this.#options.logger.debug({ err }, 'a push job could not be taken'),
      }),
    };
    return state;
  }

  /** Transactional first: what it hands over, and what it takes. */
  #pump(): void {
    if (this.#stopped) return;
    for (const lane of this.#lanes) {
      while (lane.ready.length > 0 && this.#maySubmit(lane.lane)) this.#submit(lane, lane.ready.shift()!);
    }
    for (const { feed } of this.#lanes) feed.feed();
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #mayTake(lane: LaneState, beingTaken: number): boolean {
    if (this.#stopped || this.#pauses.length > 0) return false;
    const ahead = lane.ready.length + lane.preparing + beingTaken;
    if (ahead >= readyAhead || !this.#options.budget.mayHoldMore(this.id)) return false;
    const transport = this.#openTransport();
    return transport !== undefined && transport.room - ahead * 1_000 > this.#reserve(lane.lane, transport);
  }

  #maySubmit(lane: Lane): boolean {
    const transport = this.#transport;
    if (transport === undefined || this.#pauses.length > 0) return false;
    return transport.room > this.#reserve(lane, transport) && this.#unwritten < mostUnwritten[lane];
  }

  #reserve(lane: Lane, { room, inFlight }: Transport): number {
    return lane === 'bulk' ? (room + inFlight) * bulkReserve : 0;
  }

  /** Decodes a job, ends what needs no gateway, and puts it among those that are ready. */
  async #prepare(lane: LaneState, taken: TakenJob): Promise<void> {
    const { app, locks, budget, metrics, link } = this.#options;
    lane.preparing++;
    const laneMetrics = metrics.lane(lane.lane);
    laneMetrics.jobsTaken.inc();
    const nowMs = Date.now();
    if (taken.taken === 1) laneMetrics.jobWait(Math.max(0, nowMs - taken.availableAtMs) / 1_000);
    let job: ActiveJob | undefined;
    try {
      const decoded = decodePushJob(taken.data, { app: app.id, lane: lane.lane });
      const parsedId = parsePushJobId(taken.id);
      if (taken.name !== 'push' || parsedId === undefined) throw new PoisonedJobError('it is no push job');
      job = new ActiveJob({
        taken,
        firstIndex: parsedId.firstIndex,
        settlement: new Settlement(decoded, taken.progress),
        metrics: laneMetrics,
        events: this.#events,
        nowMs,
      });
      const held = job;
      budget.take(app.id, decoded.bytes);
      lane.active.add(job);
      locks.hold(lane.queue, taken, () => this.#lost(lane, held));
      this.#refuseTooLarge(job, nowMs);
    } catch (error) {
      if (!(error instanceof PoisonedJobError)) throw error;
      await this.#jobEnd.bury(lane.queue, taken, error);
      lane.preparing--;
      this.#schedulePump();
      return;
    }
    await link.persist(
      () => job.isLost,
      () => this.#readCancellation(job),
    );
    lane.preparing--;
    if (job.settlement.left === 0) this.#tryEnded(job);
    else if (this.#stopped) this.#giveBack(lane, job);
    else lane.ready.push(job);
    this.#schedulePump();
  }

  #submit(lane: LaneState, job: ActiveJob): void {
    if (job.isLost) {
      this.#forget(lane, job);
      return;
    }
    if (
      job.controlRings !== this.#controlRings ||
      Date.now() - job.cancellationReadAtMs > cancellationLifeMs
    ) {
      this.#follow(this.#readAgain(lane, job));
      return;
    }
    const run = job.beginTry(this.#options.app.transport === 'http2');
    this.#unwritten += run.columns.count;
    this.#transport!.submit(run);
  }

  /** Something may have been cancelled while the job was waiting here. */
  async #readAgain(lane: LaneState, job: ActiveJob): Promise<void> {
    lane.preparing++;
    await this.#options.link.persist(
      () => job.isLost,
      () => this.#readCancellation(job),
    );
    lane.preparing--;
    if (job.settlement.left === 0) this.#tryEnded(job);
    else if (this.#stopped) this.#giveBack(lane, job);
    else lane.ready.unshift(job);
    this.#schedulePump();
  }

  async #readCancellation(job: ActiveJob): Promise<void> {
    const { link } = this.#options;
    const rings = this.#controlRings;
    const cancellation = await link.answer(() =>
      readCancellation({ redis: link.client, prefix: link.prefix }, this.id, job.decoded.batch),
    );
    job.controlRings = rings;
    job.cancellationReadAtMs = Date.now();
    if (cancellation === undefined) return;
    const { indexes } = job.decoded;
    const cancelled = job.settlement.endPlaces(
      'cancelled',
      'cancelled',
      Date.now(),
      (place) => cancellation.whole || cancellation.indexes.has(indexes[place]!),
    );
    job.metrics.settled.cancelled.inc(cancelled);
  }

  #refuseTooLarge(job: ActiveJob, nowMs: number): void {
    const { app, metrics } = this.#options;
    const { columns, pushType } = job.decoded;
    const { payloadOf, payloadOffsets } = columns;
    const refused = job.settlement.endPlaces('rejected', 'payload-too-large', nowMs, (place) => {
      const of = payloadOf[place]!;
      const bytes = payloadOffsets[of + 1]! - payloadOffsets[of]!;
      return bytes > payloadLimit(app, valueAt(pushType, place) as Parameters<typeof payloadLimit>[1]);
    });
    if (refused === 0) return;
    job.metrics.settled.rejected.inc(refused);
    for (let at = 0; at < refused; at++) metrics.rejected('payload-too-large');
  }

  #tryEnded(job: ActiveJob): void {
    const lane = this.#laneOf(job);
    this.#follow(this.#jobEnd.end(lane.queue, job).then(() => this.#forget(lane, job)));
    this.#schedulePump();
  }

  #giveBack(lane: LaneState, job: ActiveJob): void {
    const { locks } = this.#options;
    const givenBack = this.#jobEnd.giveBack(lane.queue, job).then(() => {
      locks.release(lane.queue, job.taken);
      this.#forget(lane, job);
    });
    this.#follow(givenBack);
  }

  /** Another worker has taken it: its stall was noticed before we could renew. */
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
    this.#options.budget.release(this.id, job.decoded.bytes);
    this.#schedulePump();
  }

  #laneOf(job: ActiveJob): LaneState {
    return this.#lanes.find(({ lane }) => lane === job.decoded.lane)!;
  }

  #decided(_accepted: number, answer?: GatewayAnswer): void {
    if (answer !== undefined) this.#options.metrics.rejected(answer.reason);
  }

  #setPauses(pauses: readonly AppPause[]): void {
    this.#pauses = pauses;
    this.#options.metrics.paused(new Set<PauseCause>(pauses.map(({ cause }) => cause)));
  }

  #openTransport(): Transport | undefined {
    if (this.#transport !== undefined) return this.#transport;
    const { app, credential, createTransport, logger } = this.#options;
    try {
      const transport = createTransport(app, credential, this.#observer());
      transport.onRoom(() => this.#schedulePump());
      this.#transport = transport;
    } catch (err) {
      logger.error({ err }, 'the transport cannot be built');
    }
    return this.#transport;
  }

  #observer(): TransportObserver {
    const { metrics } = this.#options;
    return {
      connectionClosed: (_id, end, lifetimeMs) => metrics.connectionClosed(end, lifetimeMs),
      errorResponse: (_id, status) => metrics.errorResponse(status),
      replayed: (notifications) => metrics.replayed(notifications),
      uncertain: (notifications, cause) => metrics.uncertain(notifications, cause),
    };
  }

  #follow(promise: Promise<void>): void {
    const followed = promise
      .catch((err: unknown) => this.#options.logger.error({ err }, 'a bug: a push job was left behind'))
      .finally(() => this.#endings.delete(followed));
    this.#endings.add(followed);
  }
}
