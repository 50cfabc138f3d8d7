import type { NotificationRun, Transport, TransportState } from '@pushfleet/apns-client';
import type { AppTrouble, Lane } from '@pushfleet/push-queue';

export interface LaneTransportOptions {
  /** Opens no connection. @throws what is wrong with the files that it needs */
  readonly create: (stateChanged: (state: TransportState) => void) => Transport;
  /** Whether it can send has changed. */
  readonly onTrouble: () => void;
  /** The gateway lets it send again. */
  readonly onRecovered: () => void;
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
/** How often a transport is built anew that could not be built, milliseconds: its files may be there by then. */
const rebuildIntervalMs = 10_000;

/** A transport that one lane uses, or both, and how much of it each may use. Built when there is something to send. */
export class LaneTransport {
  readonly #options: LaneTransportOptions;
  readonly #retiring = new Set<Promise<void>>();
  #transport: Transport | undefined;
  /** Why it could not be built. */
  #failure: AppTrouble | undefined;
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

  /** What keeps it from sending, as it is now. */
  get trouble(): AppTrouble | undefined {
    const state = this.#transport?.state;
    if (state?.kind !== 'paused') return this.#failure;
    const { about, reason, sinceMs, checkedAtMs, untilMs, isHold } = state;
    return { about, reason, sinceMs, checkedAtMs, untilMs, isHold };
  }

  /** How many notifications a lane may take jobs for. Before it is built, one job's: the job that it is built for. */
  roomFor(lane: Lane): number {
    if (this.#transport === undefined) return this.#failure === undefined ? 1 : 0;
    const { room, inFlight } = this.#transport;
    if (lane === 'transactional') return room;
    return room - Math.min((room + inFlight) * bulkReserve.share, bulkReserve.most);
  }

  /** Whether a lane may hand a job over now. */
  maySubmit(lane: Lane): boolean {
    return this.#transport !== undefined && this.#unwritten < mostUnwritten[lane] && this.roomFor(lane) > 0;
  }

  /** Builds it, unless it is there, or could not be built a short while ago. */
  open(): void {
    if (this.#transport === undefined && this.#failure === undefined) this.#build();
  }

  submit(run: NotificationRun): void {
    this.#unwritten += run.columns.count;
    this.#transport!.submit(run);
  }

  /** So many wait in the transport no more. */
  leftQueue(notifications: number): void {
    this.#unwritten -= notifications;
  }

  /** Hands back what has not been written. */
  recall(): void {
    this.#transport?.recall();
  }

  /** Builds it anew where it could not be built. */
  rebuild(): void {
    if (this.#failure !== undefined) this.#build();
  }

  /** Asks the gateway now whether a trouble is over. */
  probeNow(): void {
    this.rebuild();
    this.#transport?.probeNow();
  }

  /** To be called now and then. `epochMs`: by the system's clock. */
  tick(epochMs: number): void {
    if (this.#failure !== undefined && epochMs >= this.#failure.untilMs) this.#build();
  }

  /** Asks the gateway about nothing more: what is in flight settles, the rest comes back. The next work builds anew. */
  retire(): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    this.#forget();
    const drained = transport.drain(retireTimeoutMs).then(() => void this.#retiring.delete(drained));
    this.#retiring.add(drained);
  }

  /** Ends the connections at once, and what waits in their sockets is not sent. The next work builds anew. */
  cut(): void {
    const transport = this.#transport;
    this.#forget();
    transport?.destroy();
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#transport?.drain(deadlineMs);
    await Promise.all(this.#retiring);
  }

  /** What it says concerns nobody any more. */
  #forget(): void {
    this.#transport = undefined;
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#options.onTrouble();
  }

  #build(): void {
    const { create, onTrouble, onChange } = this.#options;
    try {
      let built: Transport | undefined;
      const transport = create((state) => {
        // Those that are taken out of service say nothing any more.
        if (built !== undefined && built === this.#transport) this.#stateChanged(state);
      });
      built = transport;
      this.#transport = transport;
      const hadFailed = this.#failure !== undefined;
      this.#failure = undefined;
      transport.onRoom(onChange);
      this.#stateChanged(transport.state);
      if (hadFailed) onTrouble();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const nowMs = Date.now();
      const sinceMs = this.#failure?.sinceMs ?? nowMs;
      const untilMs = nowMs + rebuildIntervalMs;
      this.#failure = { about: 'worker', reason, sinceMs, checkedAtMs: nowMs, untilMs, isHold: false };
      onTrouble();
    }
  }

  #stateChanged(state: TransportState): void {
    const { onTrouble, onRecovered } = this.#options;
    if (state.kind === 'paused') {
      this.#isPaused = true;
      onTrouble();
    } else if (this.#isPaused && state.kind !== 'closed') {
      this.#isPaused = false;
      onRecovered();
    }
  }
}
