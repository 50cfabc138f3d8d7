import type { NotificationRun, PauseKind, Transport, TransportState } from '@pushfleet/apns-client';
import type { Lane } from '@pushfleet/push-queue';

export interface LaneTransportOptions {
  /** Opens no connection. Undefined: it cannot be built now. */
  readonly create: (stateChanged: (state: TransportState) => void) => Transport | undefined;
  readonly onPaused: (about: PauseKind, reason: string) => void;
  readonly onResumed: () => void;
  /** There may be room, or the state has changed. */
  readonly onChange: () => void;
}

/**
 * Notifications that may wait in the transport to be written. What waits there goes before whatever comes after, so
 * bulk waits outside: a few milliseconds of line rate inside.
 */
const mostUnwritten: Readonly<Record<Lane, number>> = { transactional: 10_000, bulk: 3_000 };
/** What bulk leaves of the in-flight windows that it shares: a share of them, and so many at most. */
const bulkReserve = { share: 0.1, most: 20_000 };
/** How long a transport may take to settle what is in flight when it is taken out of service, milliseconds. */
const retireTimeoutMs = 5_000;

/** A transport that one lane uses, or both, and how much of it each may use. Built with the first work. */
export class LaneTransport {
  readonly #options: LaneTransportOptions;
  readonly #retiring = new Set<Promise<void>>();
  #transport: Transport | undefined;
  /** Handed over and still in the transport's queue. */
  #unwritten = 0;
  #isPaused = false;

  constructor(options: LaneTransportOptions) {
    this.#options = options;
  }

  /** Undefined: there has been no work for it. */
  get transport(): Transport | undefined {
    return this.#transport;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** How many notifications a lane may take jobs for. */
  roomFor(lane: Lane): number {
    const transport = this.#open();
    if (transport === undefined) return 0;
    const { room, inFlight } = transport;
    if (lane === 'transactional') return room;
    return room - Math.min((room + inFlight) * bulkReserve.share, bulkReserve.most);
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
  }

  /** Asks the gateway about nothing more: what is in flight settles, the rest comes back. The next work builds anew. */
  retire(): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    this.#transport = undefined;
    const drained = transport.drain(retireTimeoutMs).then(() => void this.#retiring.delete(drained));
    this.#retiring.add(drained);
  }

  /** Ends the connections at once, and what waits in their sockets is not sent. The next work builds anew. */
  cut(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.destroy();
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#transport?.drain(deadlineMs);
    await Promise.all(this.#retiring);
  }

  #open(): Transport | undefined {
    if (this.#transport !== undefined) return this.#transport;
    const { create, onChange } = this.#options;
    let built: Transport | undefined;
    const transport = create((state) => {
      // Those that are taken out of service say nothing any more.
      if (built !== undefined && built === this.#transport) this.#stateChanged(state);
    });
    if (transport === undefined) return undefined;
    built = transport;
    this.#transport = transport;
    transport.onRoom(onChange);
    this.#stateChanged(transport.state);
    return transport;
  }

  #stateChanged(state: TransportState): void {
    const { onPaused, onResumed } = this.#options;
    if (state.kind === 'paused') {
      this.#isPaused = true;
      onPaused(state.about, state.reason);
    } else if (this.#isPaused && state.kind !== 'closed') {
      this.#isPaused = false;
      onResumed();
    }
  }
}
