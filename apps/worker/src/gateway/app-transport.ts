import type { GatewayAnswer, NotificationRun, Transport, TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import type { AppTrouble, Lane } from '@pushfleet/push-queue';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { AppPauses } from '../app/app-pauses.ts';
import { Breaker } from '../app/breaker.ts';
import type { AppMetrics } from '../metrics/app-metrics.ts';
import type { CreateTransport } from './create-transport.ts';
import { LaneTransport } from './lane-transport.ts';

export interface AppTransportOptions {
  readonly app: FleetApp;
  readonly credential: WatchedCredential;
  readonly createTransport: CreateTransport;
  readonly pauses: AppPauses;
  readonly metrics: AppMetrics;
  readonly logger: Logger;
  /** There may be room, or the state has changed. */
  readonly onChange: () => void;
}

/**
 * How an app reaches its gateway, and what trouble there means for it. An app of two connections or more has one of
 * them for the transactional lane alone: what bulk has written into a socket, and what it has to replay, is in nobody's
 * way (docs/decisions/0021-lanes.md). With one connection the lanes share it.
 */
export class AppTransport {
  readonly #options: AppTransportOptions;
  readonly #breaker: Breaker;
  readonly #unsubscribe: () => void;
  readonly #byLane: Readonly<Record<Lane, LaneTransport>>;
  readonly #all: ReadonlySet<LaneTransport>;
  /** That the gateway cannot be reached has been told, and not yet that it can. */
  #unreachableTold = false;

  constructor(options: AppTransportOptions) {
    const { connections } = options.app;
    this.#options = options;
    this.#breaker = new Breaker(options.app.breaker);
    this.#unsubscribe = options.credential.onChange(() => this.#credentialChanged());
    const bulk = this.#createLane(Math.max(1, connections - 1));
    this.#byLane = { bulk, transactional: connections === 1 ? bulk : this.#createLane(1) };
    this.#all = new Set(Object.values(this.#byLane));
  }

  /** Those that there has been work for. */
  get transports(): readonly Transport[] {
    return [...this.#all].flatMap(({ transport }) => transport ?? []);
  }

  /** What keeps this worker from sending, as it is now. */
  get trouble(): AppTrouble | undefined {
    for (const { trouble } of this.#all) if (trouble !== undefined) return trouble;
    return undefined;
  }

  /** How many notifications a lane may take jobs for. */
  roomFor(lane: Lane): number {
    return this.#byLane[lane].roomFor(lane);
  }

  /** Whether a lane may hand a job over now. */
  maySubmit(lane: Lane): boolean {
    return this.#byLane[lane].maySubmit(lane);
  }

  /** Builds what a lane needs to send. Opens no connection. */
  open(lane: Lane): void {
    this.#byLane[lane].open();
  }

  submit(lane: Lane, run: NotificationRun): void {
    this.#byLane[lane].submit(run);
  }

  /** Hands back what has not been written. */
  recall(): void {
    for (const transport of this.#all) transport.recall();
  }

  /** Asks the gateway whether a trouble is over. */
  probeNow(): void {
    for (const transport of this.#all) transport.probeNow();
  }

  /** To be called now and then. `epochMs`: by the system's clock. */
  tick(epochMs: number): void {
    for (const transport of this.#all) transport.tick(epochMs);
  }

  /** So many of a lane wait to be written no more. */
  leftQueue(lane: Lane, notifications: number): void {
    this.#byLane[lane].leftQueue(notifications);
    this.#options.onChange();
  }

  /** Counts what the gateway decided, for the metrics and the breaker. */
  recordDecision(accepted: number, answer?: GatewayAnswer): void {
    const nowMs = performance.now();
    if (accepted > 0) this.#breaker.recordAccepted(accepted, nowMs);
    if (answer === undefined) return;
    this.#options.metrics.countRejected(answer.reason);
    // A 410 tells when the app was removed: no sign of a wrong environment.
    if (!answer.tokenInvalid || answer.unregisteredAtMs !== undefined) return;
    this.#breaker.recordInvalid(nowMs);
    if (!this.#breaker.isTripped) return;
    const { decided, invalid } = this.#breaker.sums;
    const reason = `${invalid} of ${decided} tokens were called invalid: is it the right environment?`;
    this.#options.pauses.trip(reason);
    for (const transport of this.#all) transport.retire();
  }

  /** An operator has let the app go on after the breaker tripped. */
  resetBreaker(): void {
    this.#breaker.reset();
  }

  /** Ends the connections at once. The next work builds anew. */
  cut(): void {
    for (const transport of this.#all) transport.cut();
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#all].map(async (transport) => transport.drain(deadlineMs)));
  }

  #createLane(connections: number): LaneTransport {
    const { pauses, onChange } = this.#options;
    return new LaneTransport({
      create: (stateChanged) => this.#create(connections, stateChanged),
      onTrouble: () => pauses.setTrouble(this.trouble),
      onRecovered: () => {
        pauses.setTrouble(this.trouble);
        if (this.trouble === undefined) pauses.lift();
      },
      onChange,
    });
  }

  /** @throws what is wrong with the files of the app on this machine */
  #create(connections: number, stateChanged: (state: TransportState) => void): Transport {
    const { app, credential, createTransport, metrics } = this.#options;
    credential.current();
    return createTransport({ ...app, connections }, credential, {
      stateChanged: (state) => {
        this.#tellOfReach(state);
        stateChanged(state);
      },
      connectionClosed: (_id, end, lifetimeMs) => metrics.countClosed(end, lifetimeMs),
      errorResponse: (_id, status) => metrics.countErrorResponse(status),
      lateErrorResponse: (_id, _status, wronglyPresumed) => metrics.countLateErrorResponse(wronglyPresumed),
      unconfirmed: (_id, notifications) => metrics.countUnconfirmed(notifications),
      replayed: (notifications) => metrics.countReplayed(notifications),
      uncertain: (notifications, cause) => metrics.countUncertain(notifications, cause),
    });
  }

  /** Once, however often it is tried. */
  #tellOfReach(state: TransportState): void {
    const { app, logger } = this.#options;
    const { host, port } = app.gateway;
    if (state.kind === 'backing-off' && !this.#unreachableTold) {
      this.#unreachableTold = true;
      logger.warn({ host, port, reason: state.cause }, 'the gateway cannot be reached; it is tried again');
    } else if (state.kind === 'open' && this.#unreachableTold) {
      this.#unreachableTold = false;
      logger.info({ host, port }, 'the gateway is reached again');
    }
  }

  /** What another credential was told says nothing of this one. */
  #credentialChanged(): void {
    const { pauses, onChange } = this.#options;
    this.#breaker.reset();
    // Transports hear of it themselves; those that could not be built are built anew.
    for (const transport of this.#all) transport.rebuild();
    pauses.probeSoon();
    onChange();
  }
}
