import { Announcer } from './announcer.ts';
import type { Clock } from './clock.ts';
import type { ConnectGate } from './connect-gate.ts';
import { handBack, type Span } from './span.ts';
import { Ticker } from './ticker.ts';
import type { Tally } from './tracked-run.ts';
import type {
  NotificationRun,
  Transport,
  TransportFigures,
  TransportObserver,
  TransportState,
} from './transport.ts';
import { unprocessed } from './verdicts.ts';

// What every transport does, whichever protocol it speaks (docs/lifecycles/transport.md):
//
//   running ──▶ draining ──▶ closed
//      │            │           ▲
//      └────────────┴▶ closing ─┘
//
// - running: takes runs, unless the gate is paused.
// - draining: takes no run; what is in flight is settled. Closes when the last connection has ended.
// - closing: everything is being handed back, and nothing may be written any more. Lasts no longer than one call.
// - closed: every notification has its outcome.
//
// Everything handed over is in exactly one place: it waits (not written), it is in the window of one connection
// (written), or it is settled. A move takes place in one turn of the event loop and before any sink hears of it, so
// that no fault, and no call from a sink, can find a notification in none.

/** What a protocol does in its own way. Only the core calls these methods. */
export interface Protocol {
  readonly gate: ConnectGate;
  readonly connections: ConnectionCounts;
  readonly figures: TransportFigures;
  /** Queues a run, and counts it in the core's `tally`. */
  enqueue(run: NotificationRun): void;
  /** Writes what waits, or asks a gateway that does not let us send whether the trouble is over. */
  pump(): void;
  /** Does what has become due. */
  tick(): void;
  /** Takes out everything that waits to be written. */
  takeWaiting(): readonly Span[];
  /** The gate lets the next attempt to connect start at once: forgets what it waited for. */
  retry(): void;
  /** The core drains: settles what is in flight until `untilMs`, by the clock's `now()`. */
  drain(untilMs: number): void;
  /** Closes all connections at once. */
  destroy(): void;
  /** The core is closed: lets go of timers and subscriptions. */
  close(): void;
}

interface ConnectionCounts {
  /** Connections, in whatever state. */
  readonly size: number;
  readonly open: number;
}

export interface TransportCoreOptions {
  readonly clock: Clock;
  readonly observer: TransportObserver;
  /** Notifications handed over and not settled, for each connection. */
  readonly window: number;
  readonly connections: number;
}

type Phase = 'running' | 'draining' | 'closing' | 'closed';

export class TransportCore implements Transport {
  readonly announcer: Announcer;
  readonly tally: Tally = { inFlight: 0 };
  readonly #protocol: Protocol;
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #ticker: Ticker;
  readonly #drained: (() => void)[] = [];
  #phase: Phase = 'running';
  #isPumpScheduled = false;
  #cancelDrainTimer: (() => void) | undefined;

  /** @param build Builds the protocol. It may keep the core, and must not call it yet. */
  constructor(
    { clock, observer, window, connections }: TransportCoreOptions,
    build: (core: TransportCore) => Protocol,
  ) {
    this.#clock = clock;
    this.#capacity = window * connections;
    this.#ticker = new Ticker(clock, () => this.#protocol.tick());
    this.announcer = new Announcer(this, observer);
    this.#protocol = build(this);
  }

  get state(): TransportState {
    if (this.#phase === 'closed') return { kind: 'closed' };
    const { gate, connections } = this.#protocol;
    if (gate.pause !== undefined) return { kind: 'paused', ...gate.pause };
    if (connections.open > 0) return { kind: 'open', connections: connections.open };
    if (connections.size > 0) return { kind: 'connecting', attempt: gate.failures + 1 };
    const nowMs = this.#clock.now();
    const delayMs = gate.delayMs(nowMs);
    if (delayMs === 0 || gate.failures === 0) return { kind: 'idle' };
    return { kind: 'backing-off', untilMs: nowMs + delayMs, cause: gate.cause };
  }

  get room(): number {
    return this.#takesRuns ? this.#capacity - this.tally.inFlight : 0;
  }

  get inFlight(): number {
    return this.tally.inFlight;
  }

  get figures(): TransportFigures {
    return this.#protocol.figures;
  }

  get isRunning(): boolean {
    return this.#phase === 'running';
  }

  get isDraining(): boolean {
    return this.#phase === 'draining';
  }

  /** Nothing may be written any more. */
  get isOver(): boolean {
    return this.#phase === 'closing' || this.#phase === 'closed';
  }

  onRoom(listener: () => void): void {
    this.announcer.onRoom(listener);
  }

  submit(run: NotificationRun): void {
    if (!this.#takesRuns) {
      run.sink.settled(0, run.columns.count, unprocessed);
      return;
    }
    this.#protocol.enqueue(run);
    this.pumpSoon();
  }

  recall(): void {
    this.handBack();
    this.#pump();
  }

  probeNow(): void {
    const { gate } = this.#protocol;
    if (!this.isRunning || (gate.pause === undefined && gate.failures === 0)) return;
    gate.retryNow();
    this.#protocol.retry();
  }

  drain(deadlineMs: number): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve();
    const drained = new Promise<void>((resolve) => void this.#drained.push(resolve));
    if (this.#phase === 'running') {
      this.#phase = 'draining';
      this.#cancelDrainTimer = this.#clock.after(deadlineMs, () => this.destroy());
      this.#protocol.drain(this.#clock.now() + deadlineMs);
    }
    return drained;
  }

  destroy(): void {
    if (this.isOver) return;
    this.#phase = 'closing';
    this.#protocol.destroy();
    this.handBack();
    this.#close();
  }

  /** Pumps at the end of this turn: what is submitted in one turn goes out in one write. */
  pumpSoon(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    queueMicrotask(() => {
      this.#isPumpScheduled = false;
      this.#pump();
    });
  }

  /** Sees to it that the next tick comes within `inMs`. */
  tickWithin(inMs: number): void {
    if (!this.isOver) this.#ticker.within(inMs);
  }

  /** Hands back everything that waits. */
  handBack(): void {
    handBack(this.#protocol.takeWaiting());
  }

  /** Closes when it drains and no connection is left. */
  closeWhenDrained(): void {
    if (this.#phase === 'draining' && this.#protocol.connections.size === 0) this.#close();
  }

  get #takesRuns(): boolean {
    return this.#phase === 'running' && this.#protocol.gate.pause === undefined;
  }

  #pump(): void {
    if (this.isOver) return;
    this.#protocol.pump();
    // What has expired before it was written makes room, and the gateway says nothing of it.
    this.announcer.roomMade();
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#ticker.stop();
    this.#cancelDrainTimer?.();
    this.#protocol.close();
    this.announcer.announceState();
    for (const resolve of this.#drained) resolve();
  }
}
