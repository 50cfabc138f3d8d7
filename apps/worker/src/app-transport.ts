import type { GatewayAnswer, NotificationRun, Transport, TransportState } from '@pushfleet/apns-client';
import type { WatchedCredential } from '@pushfleet/apns-credentials';
import type { Lane } from '@pushfleet/push-queue';
import type { FleetApp, Logger } from '@pushfleet/service-kit';
import type { AppMetrics } from './app-metrics.ts';
import type { AppPauses } from './app-pauses.ts';
import { Breaker } from './breaker.ts';
import type { CreateTransport } from './create-transport.ts';

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
 * Notifications that may wait in the transport to be written. What waits there goes before whatever comes after, so
 * bulk waits outside: a few milliseconds of line rate inside.
 */
const mostUnwritten: Readonly<Record<Lane, number>> = { transactional: 10_000, bulk: 3_000 };
/** How long a transport may take to settle what is in flight when the breaker has tripped, milliseconds. */
const retireTimeoutMs = 5_000;
/** What bulk leaves of the in-flight windows to the transactional lane: a share of them, and so many at most. */
const bulkReserve = { share: 0.1, most: 20_000 };

/**
 * The transport of an app, shared by its lanes, and what its troubles mean for the app. Opens no connection, and takes
 * next to no memory, before the app first has work.
 */
export class AppTransport {
  readonly #options: AppTransportOptions;
  readonly #breaker: Breaker;
  readonly #unsubscribe: () => void;
  /** Transports that a tripped breaker has taken out of service. */
  readonly #retiring = new Set<Promise<void>>();
  #transport: Transport | undefined;
  /** Handed over and still in the transport's queue. */
  #unwritten = 0;
  #wasPaused = false;

  constructor(options: AppTransportOptions) {
    this.#options = options;
    this.#breaker = new Breaker(options.app.breaker);
    this.#unsubscribe = options.credential.onChange(() => this.#credentialChanged());
  }

  get state(): TransportState {
    return this.#transport?.state ?? { kind: 'idle' };
  }

  /** The transport, if there has been work for it. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  /** How many notifications a lane may take jobs for. */
  roomFor(lane: Lane): number {
    const transport = this.#open();
    if (transport === undefined) return 0;
    return transport.room - this.#reserve(lane, transport);
  }

  /** Whether a lane may hand a job over now. */
  maySubmit(lane: Lane): boolean {
    return this.#unwritten < mostUnwritten[lane] && this.roomFor(lane) > 0;
  }

  submit(run: NotificationRun): void {
    this.#unwritten += run.columns.count;
    this.#transport!.submit(run);
  }

  /** So many wait in the transport no more. */
  leftQueue(notifications: number): void {
    this.#unwritten -= notifications;
    this.#options.onChange();
  }

  /** What the gateway decided; the breaker looks on. */
  decided(accepted: number, answer?: GatewayAnswer): void {
    const nowMs = Date.now();
    if (accepted > 0) this.#breaker.accepted(accepted, nowMs);
    if (answer === undefined) return;
    this.#options.metrics.rejected(answer.reason);
    // A 410 tells when the app was removed: no sign of a wrong environment.
    if (!answer.tokenInvalid || answer.unregisteredAtMs !== undefined) return;
    if (!this.#breaker.invalid(nowMs)) return;
    const { decided, invalid } = this.#breaker.sums();
    const reason = `${invalid} of ${decided} tokens were called invalid: is it the right environment?`;
    this.#options.pauses.pause('invalid-tokens', reason);
    this.#retire();
  }

  /** An operator has let the app go on after the breaker tripped. */
  resetBreaker(): void {
    this.#breaker.reset();
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#unsubscribe();
    await this.#transport?.drain(deadlineMs);
    await Promise.all(this.#retiring);
  }

  #reserve(lane: Lane, { room, inFlight }: Transport): number {
    return lane === 'bulk' ? Math.min((room + inFlight) * bulkReserve.share, bulkReserve.most) : 0;
  }

  #open(): Transport | undefined {
    if (this.#transport !== undefined) return this.#transport;
    const { credential, pauses } = this.#options;
    try {
      // A file that is missing here is no reason for the whole fleet to rest.
      credential.current();
      this.#transport = this.#create();
      pauses.setLocalTrouble(undefined);
      if (this.#transport.state.kind === 'paused') this.#stateChanged(this.#transport.state);
    } catch (error) {
      pauses.setLocalTrouble(error instanceof Error ? error.message : String(error));
    }
    return this.#transport;
  }

  #create(): Transport {
    const { app, credential, createTransport, metrics, onChange } = this.#options;
    const transport = createTransport(app, credential, {
      stateChanged: (state) => {
        if (transport === this.#transport) this.#stateChanged(state);
      },
      connectionClosed: (_id, end, lifetimeMs) => metrics.connectionClosed(end, lifetimeMs),
      errorResponse: (_id, status) => metrics.errorResponse(status),
      lateErrorResponse: () => metrics.lateErrorResponse(),
      replayed: (notifications) => metrics.replayed(notifications),
      uncertain: (notifications, cause) => metrics.uncertain(notifications, cause),
    });
    transport.onRoom(onChange);
    return transport;
  }

  /** Asks the gateway about no more tokens: what is in flight settles, the rest comes back. */
  #retire(): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    this.#transport = undefined;
    const drained = transport.drain(retireTimeoutMs).then(() => void this.#retiring.delete(drained));
    this.#retiring.add(drained);
  }

  #stateChanged(state: TransportState): void {
    const { pauses, logger } = this.#options;
    logger.debug({ state }, 'the transport has changed');
    if (state.kind === 'paused') {
      this.#wasPaused = true;
      // Statuses 3 and 6 on binary, Apple's reasons with "Topic" on HTTP/2 (PROTOCOL sections 1 and 4).
      pauses.pause(/topic/i.test(state.reason) ? 'topic' : 'credential', state.reason);
    } else if (this.#wasPaused && state.kind !== 'closed') {
      this.#wasPaused = false;
      pauses.lift();
    }
  }

  /** What another credential was told says nothing of this one. */
  #credentialChanged(): void {
    const { pauses, onChange } = this.#options;
    this.#breaker.reset();
    pauses.setLocalTrouble(undefined);
    pauses.probeSoon();
    onChange();
  }
}
