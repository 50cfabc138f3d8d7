import type { SecureContext } from 'node:tls';
import { countOf, type Span } from '../transport/span.ts';
import { SpanQueue } from '../transport/span-queue.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import { WaitingSpans } from '../transport/waiting-spans.ts';
import { AfterDoubt, type DoubtVerdict } from './after-doubt.ts';
import type { ConnectionClosure } from './closure.ts';
import { BinaryConnection, type BinaryConnectionEvents } from './connection.ts';
import type { BinaryGate } from './gate.ts';
import type { ResolvedOptions } from './options.ts';
import { SlowStart } from './slow-start.ts';
import { longestByShortest, WriteAhead } from './write-ahead.ts';

// A queue, and the few connections that write from its front. Why one queue and not one per connection: what a gateway
// discarded must go out again before anything newer of its run, on whichever connection is free first.
//
// After a doubtful end one connection alone writes, the one on trial: a burst at a time (after-doubt.ts), until bursts
// have become so long that they are no limit any more. With `proved` each burst ends its connection with a proof.

export interface GroupLimits {
  readonly connections: number;
  /** Frames in flight per connection. */
  readonly window: number;
  /** A connection that wrote nothing for so long is closed, milliseconds. */
  readonly idleTimeoutMs: number;
  /** What goes over it has had errors, and more are to be expected. */
  readonly expectsErrors: boolean;
  /** Share of the attempts to connect that may come at once, left to others. */
  readonly spares: number;
}

/** What a group has from its transport, and tells it. */
export interface GroupHost {
  readonly options: ResolvedOptions;
  readonly gate: BinaryGate;
  readonly secureContext: SecureContext | undefined;
  /** A connection takes frames now. */
  serving(): void;
  opened(connection: BinaryConnection): void;
  ended(group: ConnectionGroup, ended: EndedConnection): void;
  /** The time to try again has come. */
  retry(group: ConnectionGroup): void;
}

export interface EndedConnection {
  readonly id: string;
  readonly closure: ConnectionClosure;
  /** From its opening, milliseconds; 0 when it never opened. */
  readonly livedMs: number;
  /** It ended in the silence after its handshake. */
  readonly wasSilent: boolean;
}

interface Member {
  readonly startedMs: number;
  openedMs: number | undefined;
  /**
   * `silent`: open, but nothing is written until it is clear that the gateway takes our certificate. `retiring`: takes
   * no more; the known-bad frame is written as soon as its successor serves.
   */
  role: 'opening' | 'silent' | 'serving' | 'retiring';
  cancelSilence: (() => void) | undefined;
}

/** However long the handshake took, a silence is no longer than this, milliseconds. */
const longestSilenceMs = 2_000;
/** After so long without a write, a burst has been written whole, milliseconds. */
const longestQuietMs = 100;

let connectionsMade = 0;

export class ConnectionGroup {
  readonly queue = new SpanQueue();
  readonly #host: GroupHost;
  readonly #limits: GroupLimits;
  readonly #source: WaitingSpans;
  readonly #ahead: WriteAhead;
  readonly #doubt: AfterDoubt;
  /** While bursts are limited: the connection that writes them. */
  #onTrial: BinaryConnection | undefined;
  readonly #members = new Map<BinaryConnection, Member>();
  readonly #events: BinaryConnectionEvents;
  #cancelRetry: (() => void) | undefined;
  #lastRotationMs = Number.NEGATIVE_INFINITY;

  constructor(host: GroupHost, limits: GroupLimits) {
    this.#host = host;
    this.#limits = limits;
    this.#source = new WaitingSpans(this.queue, host.options.clock);
    const { shortestStretch, command, confirm } = host.options;
    this.#ahead = new WriteAhead(shortestStretch, limits.expectsErrors);
    // A burst that is proved takes a round trip: there is time to be careful.
    const pace = new SlowStart(shortestStretch * longestByShortest, confirm === 'proved' ? 64 : 1);
    this.#doubt = new AfterDoubt(this.queue, command, pace);
    this.#events = {
      opened: (connection) => this.#opened(connection),
      writable: () => this.pump(),
      ended: (connection, closure) => this.#ended(connection, closure),
    };
  }

  /** Connections, in whatever state. */
  get size(): number {
    return this.#members.size;
  }

  get openConnections(): number {
    let open = 0;
    for (const { state } of this.#members.keys()) if (state === 'open') open++;
    return open;
  }

  /** Notifications that wait to be written. */
  get waiting(): number {
    return this.queue.size + this.#doubt.setAside;
  }

  /** Waits for time to pass before it writes what waits. */
  get isCautious(): boolean {
    return this.#doubt.pace.isActive && this.waiting > 0;
  }

  /** Takes out everything that waits to be written. */
  takeWaiting(): Span[] {
    return [...this.#doubt.takeAside(), ...this.queue.takeAll()];
  }

  /** Writes from the front of the queue to whichever connection has the least in flight, while one takes it. */
  pump(): void {
    if (this.waiting === 0) return;
    this.#closeIdle();
    if (this.#doubt.pace.isActive) {
      this.#pumpTrial();
      return;
    }
    while (this.queue.size > 0) {
      const connection = this.#leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#source);
    }
    if (this.queue.size > 0) this.#grow();
  }

  /** Settles by silence, and rotates or closes connections whose time has come. */
  tick(): void {
    const { confirm, confirmAfterMs } = this.#host.options;
    for (const connection of [...this.#members.keys()]) {
      if (confirm === 'proved') {
        if (connection === this.#onTrial) this.#proveBurst(connection);
        else this.#prove(connection);
      } else {
        connection.takeSilent(confirmAfterMs, (run, from, to) => {
          this.#doubt.passed(run, from, to);
          run.accepted(from, to, 'presumed');
        });
        if (connection === this.#onTrial) this.#endBurst(connection);
      }
    }
    this.#closeIdle();
    this.pump();
  }

  /** Opens a connection, now or when the gate allows it. */
  connect(): void {
    const { gate, options, secureContext } = this.#host;
    const { clock } = options;
    const delayMs = gate.delayMs(clock.now(), this.#limits.spares);
    if (delayMs > 0) {
      this.#cancelRetry ??= clock.after(delayMs, () => {
        this.#cancelRetry = undefined;
        this.#host.retry(this);
      });
      return;
    }
    // Whoever probes tells all groups how it went.
    if (gate.isProbing || secureContext === undefined) return;
    gate.started(clock.now());
    const id = `${options.host}#${++connectionsMade}`;
    const connection = new BinaryConnection(
      { ...options, window: this.#limits.window, stretch: this.#ahead.begin(), id, secureContext },
      this.#events,
    );
    this.#members.set(connection, {
      startedMs: clock.now(),
      openedMs: undefined,
      role: 'opening',
      cancelSilence: undefined,
    });
  }

  /** Forgets when it wanted to try again. */
  stopWaiting(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  /** The credential changed: connections that live end with a proof, those that do not yet are given up. */
  renew(): void {
    for (const [connection, { role }] of [...this.#members]) {
      if (role === 'opening' || role === 'silent') connection.destroy('rotated');
      else this.#rotate(connection);
    }
  }

  /** What becomes of frames that an ended connection has left in doubt, where the transport sends them again. */
  judgeDoubt({ uncertain, end, settled }: ConnectionClosure): DoubtVerdict {
    return this.#doubt.judge(uncertain, end, settled, this.#host.options.clock.now());
  }

  /** Frames were left in doubt, and given back: only the pace is to follow. */
  slowDown({ uncertain, settled }: ConnectionClosure): void {
    this.#doubt.pace.doubted(countOf(uncertain), settled, this.#host.options.clock.now());
  }

  /** Ends every connection with a proof; while something waits, only those that can take no more of it. */
  finish(end: ConnectionEnd, deadlineMs: number): void {
    const { proofTimeoutMs } = this.#host.options;
    for (const connection of [...this.#members.keys()]) {
      const { size } = connection.window;
      // What silence has settled is asked for, and not waited for until the deadline.
      const withinMs = size === 0 ? Math.min(deadlineMs, proofTimeoutMs) : deadlineMs;
      if (this.waiting === 0 || size >= this.#limits.window) connection.finish(end, withinMs);
    }
  }

  destroy(end: ConnectionEnd): void {
    this.stopWaiting();
    for (const connection of [...this.#members.keys()]) connection.destroy(end);
  }

  /** Writes what is left of the burst under way. */
  #pumpTrial(): void {
    const connection = this.#trialConnection();
    if (connection === undefined || this.#members.get(connection)?.role !== 'serving') return;
    const doubt = this.#doubt;
    if (doubt.pace.written === 0) {
      doubt.bringBack();
      if (this.queue.size === 0) {
        // Nothing else is left that could pass.
        if (!this.#hasInFlight())
          for (const { run, from, to } of doubt.takeAside()) run.unprocessed(from, to);
        return;
      }
      const { clock, confirmAfterMs } = this.#host.options;
      const openedMs = this.#members.get(connection)!.openedMs ?? clock.now();
      if (doubt.needsQuiet && clock.now() - openedMs < confirmAfterMs) return;
    }
    while (this.queue.size > 0 && doubt.room > 0 && connection.isWritable) {
      doubt.pace.write(connection.write(this.#source, doubt.room));
    }
    this.#proveBurst(connection);
  }

  /** The connection that writes bursts: one in which nothing else is in flight, which could be doubled along with them. */
  #trialConnection(): BinaryConnection | undefined {
    if (this.#onTrial !== undefined) return this.#onTrial;
    for (const [connection, { role }] of this.#members) {
      if (role !== 'serving' || connection.state !== 'open' || connection.window.size > 0) continue;
      this.#onTrial = connection;
      return connection;
    }
    this.#grow();
    return undefined;
  }

  #hasInFlight(): boolean {
    for (const { window } of this.#members.keys()) if (window.size > 0) return true;
    return false;
  }

  /** With `proved`, a burst is proved as soon as it has been written. */
  #proveBurst(connection: BinaryConnection): void {
    const { options } = this.#host;
    const { size } = connection.window;
    const isWritten = this.#doubt.room <= 0 || this.queue.size === 0 || size >= this.#limits.window;
    if (options.confirm !== 'proved' || !isWritten || size === 0) return;
    if (connection.state === 'open') this.#finish(connection, 'rotated');
  }

  /** When all of a burst has settled, the next may be longer. */
  #endBurst(connection: BinaryConnection): void {
    if (connection.window.size > 0 || this.#doubt.pace.written === 0) return;
    this.#doubt.burstPassed(connection.presumed, this.#host.options.clock.now());
    if (!this.#doubt.pace.isActive) this.#onTrial = undefined;
  }

  /** Proves what is in flight when it is due, or at once when nothing more is to be written for now. */
  #prove(connection: BinaryConnection): void {
    const { clock, confirmAfterMs, rotationFloorMs } = this.#host.options;
    const now = clock.now();
    if (now - this.#lastRotationMs < rotationFloorMs) return;
    const isDue = (connection.oldestFlushMs ?? Number.POSITIVE_INFINITY) <= now - confirmAfterMs;
    const isQuiet = now - connection.lastWriteMs >= Math.min(longestQuietMs, confirmAfterMs);
    const isAllWritten = this.waiting === 0 && connection.isFlushed && connection.window.size > 0;
    if (isDue || (isAllWritten && isQuiet)) this.#rotate(connection);
  }

  #finish(connection: BinaryConnection, end: ConnectionEnd): void {
    const member = this.#members.get(connection)!;
    member.role = 'retiring';
    connection.finish(end, this.#host.options.proofTimeoutMs);
  }

  #leastLoaded(): BinaryConnection | undefined {
    let best: BinaryConnection | undefined;
    for (const [connection, { role }] of this.#members) {
      if (role !== 'serving' || !connection.isWritable) continue;
      if (best === undefined || connection.window.size < best.window.size) best = connection;
    }
    return best;
  }

  /** Opens one more connection, unless one is on its way or there may be no more. Says whether one is coming. */
  #grow(): boolean {
    let serving = 0;
    for (const [connection, { role }] of this.#members) {
      if (role === 'opening' || role === 'silent') return true;
      if (role === 'serving' && connection.state === 'open') serving++;
    }
    if (serving >= this.#limits.connections) return false;
    const before = this.#members.size;
    this.connect();
    return this.#members.size > before;
  }

  #opened(connection: BinaryConnection): void {
    const { gate, options } = this.#host;
    const member = this.#members.get(connection)!;
    member.openedMs = options.clock.now();
    this.#host.opened(connection);
    if (this.#doubt.shouldAsk) {
      // It costs no notification a copy.
      member.role = 'retiring';
      connection.probe('rotated', options.proofTimeoutMs);
      return;
    }
    if (!gate.isUnproven) {
      this.#serve(member);
      return;
    }
    // With TLS 1.3 a refusal takes a round trip more than our side of the handshake, which took at least two.
    const tookMs = Math.min(longestSilenceMs, member.openedMs - member.startedMs);
    member.role = 'silent';
    member.cancelSilence = options.clock.after(Math.max(options.handshakeSilenceMs, tookMs), () => {
      gate.trusted();
      this.#serve(member);
    });
  }

  #serve(member: Member): void {
    member.role = 'serving';
    member.cancelSilence = undefined;
    for (const [connection, { role }] of [...this.#members]) {
      if (role === 'retiring') this.#finish(connection, 'rotated');
    }
    this.#host.serving();
  }

  /** Retires a connection: its successor opens first when there is work, then the known-bad frame proves it. */
  #rotate(connection: BinaryConnection): void {
    const { clock } = this.#host.options;
    const member = this.#members.get(connection);
    if (member?.role !== 'serving' || connection.state !== 'open') return;
    member.role = 'retiring';
    if (this.queue.size === 0) this.#finish(connection, 'rotated');
    else if (!this.#grow()) {
      // No successor may come now: better this one than none.
      member.role = 'serving';
      return;
    }
    this.#lastRotationMs = clock.now();
  }

  #closeIdle(): void {
    const now = this.#host.options.clock.now();
    for (const [connection, { role }] of [...this.#members]) {
      const isIdle = role === 'serving' && connection.state === 'open' && connection.window.size === 0;
      if (isIdle && now - connection.lastWriteMs >= this.#limits.idleTimeoutMs)
        this.#finish(connection, 'idle');
    }
  }

  #ended(connection: BinaryConnection, closure: ConnectionClosure): void {
    const member = this.#members.get(connection)!;
    this.#members.delete(connection);
    member.cancelSilence?.();
    if (member.openedMs === undefined) {
      // No successor after all.
      for (const other of this.#members.values()) if (other.role === 'retiring') other.role = 'serving';
    }
    const { clock, confirm } = this.#host.options;
    const { named, unprocessed, lagMs } = closure;
    if (named !== undefined) this.#ahead.cutAfter(connection.window.issued - countOf(unprocessed) - 1);
    if (lagMs !== undefined) this.#ahead.errorCame(lagMs);
    if (named !== undefined) this.#doubt.decided();
    else if (closure.answer?.understood === true) this.#doubt.answered();
    // Silence says nothing against a gateway that need not answer.
    else if (closure.end === 'proof-timeout' && confirm === 'presumed') this.#doubt.answered();
    for (const { run, from, to } of closure.proved) this.#doubt.passed(run, from, to);
    const now = clock.now();
    if (connection === this.#onTrial) {
      this.#onTrial = undefined;
      if (closure.uncertain.length === 0 && this.#doubt.pace.written > 0) {
        this.#doubt.burstPassed(closure.settled, now);
      }
    }
    this.#host.ended(this, {
      id: connection.id,
      closure,
      livedMs: member.openedMs === undefined ? 0 : now - member.openedMs,
      wasSilent: member.role === 'silent',
    });
  }
}
