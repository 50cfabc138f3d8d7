import {
  type ConnectionEnd,
  connectionEnds,
  connectionNeeds,
  type Transport,
  type TransportFigures,
  type TransportState,
} from '@pushfleet/apns-client';
import {
  type AppSlowed,
  type Lane,
  lanes,
  type PauseCause,
  pauseCauses,
  type SettledOutcome,
  settledOutcomes,
  slowCauses,
  type TroubleKind,
  troubleKinds,
} from '@pushfleet/push-queue';
import type { FleetApp } from '@pushfleet/service-kit';
import type { WorkerMetrics } from './worker-metrics.ts';

const transportStates = [
  'idle',
  'connecting',
  'open',
  'backing-off',
  'paused',
  'closed',
] as const satisfies readonly TransportState['kind'][];

interface Rising {
  inc(by?: number): void;
}

interface Observed {
  observe(seconds: number): void;
}

/** The metrics of one app and lane, looked up once. */
export interface LaneMetrics {
  readonly written: Rising;
  readonly settled: Readonly<Record<SettledOutcome, Rising>>;
  readonly jobsTaken: Rising;
  readonly secondsToWritten: Observed;
  readonly secondsToSettled: Observed;
  readonly secondsToTaken: Observed;
}

/**
 * The metrics of one app. Series begin, at zero, when the app first has work here: hundreds of idle apps must not
 * make a scrape of a hundred thousand lines.
 */
export class AppMetrics {
  readonly #families: WorkerMetrics;
  readonly #app: string;
  readonly #transport: string;
  #lanes: Readonly<Record<Lane, LaneMetrics>> | undefined;

  constructor(families: WorkerMetrics, app: Pick<FleetApp, 'id' | 'transport'>) {
    this.#families = families;
    this.#app = app.id;
    this.#transport = app.transport;
  }

  /** The metrics of a lane; begins those of the app when it first has work. */
  openLane(lane: Lane): LaneMetrics {
    this.#lanes ??= this.#begin();
    return this.#lanes[lane];
  }

  countRejected(reason: string, notifications = 1): void {
    this.#families.rejections.inc({ app: this.#app, reason }, notifications);
  }

  countRetried(notifications: number): void {
    if (notifications > 0) this.#families.retried.inc({ app: this.#app }, notifications);
  }

  countReplayed(notifications: number): void {
    this.#families.replayed.inc({ app: this.#app }, notifications);
  }

  countUncertain(notifications: number, cause: ConnectionEnd): void {
    this.#families.uncertain.inc({ app: this.#app, cause }, notifications);
  }

  countErrorResponse(status: number): void {
    this.#families.errorResponses.inc({ app: this.#app, status: String(status) });
  }

  countLateErrorResponse(wronglyPresumed: number): void {
    this.#families.lateErrorResponses.inc({ app: this.#app });
    this.#families.wronglyPresumed.inc({ app: this.#app }, wronglyPresumed);
  }

  countUnconfirmed(presumed: number): void {
    this.#families.unconfirmedPresumed.inc({ app: this.#app }, presumed);
  }

  countOpened(resumed: boolean): void {
    this.#families.opened.inc({ app: this.#app, tls: resumed ? 'resumed' : 'full' });
  }

  countClosed(end: ConnectionEnd, lifetimeMs: number): void {
    this.#families.closed.inc({ app: this.#app, end });
    this.#families.lifetime.observe({ app: this.#app, end }, lifetimeMs / 1_000);
  }

  setPaused(causes: ReadonlySet<PauseCause>): void {
    for (const cause of pauseCauses) {
      this.#families.paused.set({ app: this.#app, cause }, causes.has(cause) ? 1 : 0);
    }
  }

  /** Why this worker takes nothing of the app; undefined: it does. */
  setUnable(about: TroubleKind | undefined): void {
    if (about === undefined && this.#lanes === undefined) return;
    for (const cause of troubleKinds) {
      this.#families.unable.set({ app: this.#app, cause }, cause === about ? 1 : 0);
    }
  }

  /** Why, and since when, this worker sends only probes of the app; undefined: it is not slowed. */
  setSlowed(slowed: AppSlowed | undefined): void {
    const app = this.#app;
    for (const cause of slowCauses) {
      this.#families.slowed.set({ app, cause }, cause === slowed?.cause ? 1 : 0);
    }
    this.#families.slowedSince.set({ app }, (slowed?.sinceMs ?? 0) / 1_000);
  }

  /** What is true at the moment of a scrape. */
  collect(
    transports: readonly Transport[],
    figures: readonly TransportFigures[],
    ofLanes: Readonly<Record<Lane, { readonly held: ReadonlySet<unknown>; readonly isRateLimited: boolean }>>,
  ): void {
    const app = this.#app;
    let inFlight = 0;
    let capacity = 0;
    const states = new Map<string, number>(transportStates.map((kind) => [kind, 0]));
    for (const transport of transports) {
      const { state } = transport;
      inFlight += transport.inFlight;
      capacity += transport.inFlight + Math.max(0, transport.room);
      states.set(state.kind, states.get(state.kind)! + (state.kind === 'open' ? state.connections : 1));
    }
    this.#families.inFlight.set({ app }, inFlight);
    this.#families.occupancy.set({ app }, capacity === 0 ? 0 : inFlight / capacity);
    this.#collectFigures(figures);
    for (const [state, count] of states) this.#families.connections.set({ app, state }, count);
    for (const lane of lanes) {
      const { held, isRateLimited } = ofLanes[lane];
      this.#families.jobsActive.set({ app, lane }, held.size);
      this.#families.rateLimited.set({ app, lane }, isRateLimited ? 1 : 0);
    }
  }

  #collectFigures(figures: readonly TransportFigures[]): void {
    const app = this.#app;
    const families = this.#families;
    for (const reason of connectionNeeds) {
      const wanted = figures.reduce((sum, each) => sum + (each.need === reason ? each.wanted : 0), 0);
      families.connectionsWanted.set({ app, reason }, wanted);
    }
    const connections = figures.flatMap((each) => each.connections.filter(({ state }) => state === 'open'));
    // The binary protocol has neither streams nor windows that the gateway grants.
    const streaming = connections.filter(({ windowBytes }) => windowBytes !== undefined);
    if (streaming.length > 0) {
      const sum = (of: (connection: (typeof streaming)[number]) => number) =>
        streaming.reduce((all, connection) => all + of(connection), 0);
      families.streamsInUse.set(
        { app },
        sum(({ streams }) => streams),
      );
      families.streamsAllowed.set(
        { app },
        sum(({ streamsAllowed }) => streamsAllowed),
      );
      families.windowLeft.set(
        { app },
        sum(({ windowBytes }) => windowBytes ?? 0),
      );
    } else {
      for (const family of [families.streamsInUse, families.streamsAllowed, families.windowLeft]) {
        family.remove({ app });
      }
    }
    const roundTrips = connections.flatMap(({ roundTripMs }) => roundTripMs ?? []);
    if (roundTrips.length > 0) families.roundTrip.set({ app }, Math.max(...roundTrips) / 1_000);
    else families.roundTrip.remove({ app });
  }

  #begin(): Readonly<Record<Lane, LaneMetrics>> {
    const families = this.#families;
    const app = this.#app;
    for (const cause of troubleKinds) families.unable.inc({ app, cause }, 0);
    for (const cause of slowCauses) families.slowed.inc({ app, cause }, 0);
    families.slowedSince.inc({ app }, 0);
    families.replayed.inc({ app }, 0);
    families.retried.inc({ app }, 0);
    families.lateErrorResponses.inc({ app }, 0);
    families.wronglyPresumed.inc({ app }, 0);
    families.unconfirmedPresumed.inc({ app }, 0);
    for (const tls of ['full', 'resumed']) families.opened.inc({ app, tls }, 0);
    for (const end of connectionEnds) {
      families.uncertain.inc({ app, cause: end }, 0);
      families.closed.inc({ app, end }, 0);
    }
    const entries = lanes.map((lane) => [lane, this.#beginLane(lane)] as const);
    return Object.fromEntries(entries) as Record<Lane, LaneMetrics>;
  }

  #beginLane(lane: Lane): LaneMetrics {
    const families = this.#families;
    const labels = { app: this.#app, lane };
    const settled = settledOutcomes.map((outcome) => {
      const child = families.settled.labels({ ...labels, transport: this.#transport, outcome });
      child.inc(0);
      return [outcome, child] as const;
    });
    const written = families.written.labels({ ...labels, transport: this.#transport });
    const jobsTaken = families.jobsTaken.labels(labels);
    written.inc(0);
    jobsTaken.inc(0);
    return {
      written,
      settled: Object.fromEntries(settled) as Record<SettledOutcome, Rising>,
      jobsTaken,
      secondsToWritten: families.enqueueToWritten.labels(labels),
      secondsToSettled: families.enqueueToSettled.labels(labels),
      secondsToTaken: families.jobWait.labels(labels),
    };
  }
}
