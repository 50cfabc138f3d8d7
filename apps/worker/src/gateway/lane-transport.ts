import type { NotificationRun, Transport, TransportState } from '@pushfleet/apns-client';
import type { AppTrouble, Lane } from '@pushfleet/push-queue';
import type { Loop } from '../loop.ts';
import type { AppPauses } from '../standing/app-pauses.ts';
import type { TransportBuilder } from './transport-builder.ts';

export interface LaneTransportOptions {
  /** The lane that it is built for; where the lanes share it, `bulk`. */
  readonly of: Lane;
  readonly connections: number;
  readonly builder: TransportBuilder;
  /** Hears what keeps it from sending. */
  readonly pauses: AppPauses;
  /** Woken when there may be room, or the state has changed. */
  readonly loop: Loop;
}

/**
 * Notifications that may wait in the transport to be written. The transport writes in order, so what waits there delays
 * the transactional lane: of bulk, a few milliseconds of line rate.
 */
const mostUnwritten: Readonly<Record<Lane, number>> = { transactional: 10_000, bulk: 3_000 };
/** What bulk leaves free of the in-flight windows for the transactional lane: this share, at most so many. */
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

  /** Undefined while there has been no work for it, and after it was retired or cut. */
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

  /** How many notifications a lane may take jobs for. Before it is built, 1, for the job that it is built for. */
  roomFor(lane: Lane): number {
    if (this.#transport === undefined) return this.isMissing ? 1 : 0;
    const { room, inFlight } = this.#transport;
    if (lane === 'transactional') return room;
    return room - Math.min((room + inFlight) * bulkReserve.share, bulkReserve.most);
  }

  /** Whether it is not built, and has not failed to be a short while ago. */
  get isMissing(): boolean {
    return this.#transport === undefined && this.#failure === undefined;
  }

  /** Whether a lane may hand a job over now. */
  mayHandOver(lane: Lane): boolean {
    return this.#transport !== undefined && this.#unwritten < mostUnwritten[lane] && this.roomFor(lane) > 0;
  }

  /** Builds it if it is missing. Opens no connection. */
  open(): void {
    if (this.isMissing) this.#build();
  }

  submit(run: NotificationRun): void {
    this.#unwritten += run.columns.count;
    this.#transport!.submit(run);
  }

  /** So many of those handed over do not wait in the transport any more: they are written, or settled without. */
  leftQueue(notifications: number): void {
    this.#unwritten -= notifications;
    this.#options.loop.wake();
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

  /** Sends nothing more: what is in flight settles, the rest is handed back. The next work builds another. */
  retire(): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    this.#forget();
    const drained = transport.drain(retireTimeoutMs).then(() => void this.#retiring.delete(drained));
    this.#retiring.add(drained);
  }

  /** Ends the connections at once: what waits in their sockets is not sent. The next work builds another. */
  cut(): void {
    const transport = this.#transport;
    this.#forget();
    transport?.destroy();
  }

  async drain(deadlineMs: number): Promise<void> {
    await this.#transport?.drain(deadlineMs);
    await Promise.all(this.#retiring);
  }

  /** Takes the transport out of service: what it says from now on changes nothing here. */
  #forget(): void {
    this.#transport = undefined;
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#reportTrouble();
  }

  #build(): void {
    const { builder, connections, loop } = this.#options;
    try {
      let built: Transport | undefined;
      const transport = builder.build(connections, (state) => {
        // One that was taken out of service is not listened to.
        if (built !== undefined && built === this.#transport) this.#stateChanged(state);
      });
      built = transport;
      this.#transport = transport;
      const hadFailed = this.#failure !== undefined;
      this.#failure = undefined;
      transport.onRoom(() => loop.wake());
      this.#stateChanged(transport.state);
      if (hadFailed) this.#reportTrouble();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const nowMs = Date.now();
      const sinceMs = this.#failure?.sinceMs ?? nowMs;
      const untilMs = nowMs + rebuildIntervalMs;
      this.#failure = { about: 'worker', reason, sinceMs, checkedAtMs: nowMs, untilMs, isHold: false };
      this.#reportTrouble();
    }
  }

  #stateChanged(state: TransportState): void {
    const { pauses } = this.#options;
    if (state.kind === 'paused') {
      this.#isPaused = true;
      this.#reportTrouble();
    } else if (this.#isPaused && state.kind !== 'closed') {
      // The gateway lets it send again.
      this.#isPaused = false;
      this.#reportTrouble();
      if (pauses.trouble === undefined) pauses.lift();
    }
  }

  #reportTrouble(): void {
    this.#options.pauses.setTrouble(this.#options.of, this.trouble);
  }
}
