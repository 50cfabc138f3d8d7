import type { SecureContext } from 'node:tls';
import { countOf } from '../span.ts';
import { SpanQueue } from '../span-queue.ts';
import type { ConnectionEnd } from '../transport.ts';
import { WaitingSpans } from '../waiting-spans.ts';
import { BinaryConnection, type BinaryConnectionEvents } from './binary-connection.ts';
import type { BinaryGate } from './binary-gate.ts';
import type { ResolvedOptions } from './binary-transport-options.ts';
import type { ConnectionClosure } from './connection-closure.ts';
import { WriteAhead } from './write-ahead.ts';

// A queue, and the few connections that write from its front. Why one queue and not one per connection: what a gateway
// discarded must go out again before anything newer of its run, on whichever connection is free first.

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

let connectionsMade = 0;

export class ConnectionGroup {
  readonly queue = new SpanQueue();
  readonly #host: GroupHost;
  readonly #limits: GroupLimits;
  readonly #source: WaitingSpans;
  readonly #ahead: WriteAhead;
  readonly #members = new Map<BinaryConnection, Member>();
  readonly #events: BinaryConnectionEvents;
  #cancelRetry: (() => void) | undefined;
  #lastRotationMs = Number.NEGATIVE_INFINITY;

  constructor(host: GroupHost, limits: GroupLimits) {
    this.#host = host;
    this.#limits = limits;
    this.#source = new WaitingSpans(this.queue, host.options.clock);
    this.#ahead = new WriteAhead(host.options.shortestStretch, limits.expectsErrors);
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

  /** Writes from the front of the queue to whichever connection has the least in flight, while one takes it. */
  pump(): void {
    if (this.queue.size === 0) return;
    this.#closeIdle();
    while (this.queue.size > 0) {
      const connection = this.#leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#source);
    }
    if (this.queue.size > 0) this.#grow();
  }

  /** Settles by silence, and rotates or closes connections whose time has come. */
  tick(): void {
    const { clock, confirm, confirmAfterMs, rotationFloorMs } = this.#host.options;
    const now = clock.now();
    for (const connection of [...this.#members.keys()]) {
      if (confirm === 'presumed') {
        connection.takeSilent(confirmAfterMs, (run, from, to) => run.accepted(from, to, 'presumed'));
      } else if ((connection.oldestFlushMs ?? Number.POSITIVE_INFINITY) <= now - confirmAfterMs) {
        if (now - this.#lastRotationMs >= rotationFloorMs) this.#rotate(connection);
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

  /** Ends every connection with a proof; while something waits, only those that can take no more of it. */
  finish(end: ConnectionEnd, deadlineMs: number): void {
    for (const connection of [...this.#members.keys()]) {
      const isFull = connection.window.size >= this.#limits.window;
      if (this.queue.size === 0 || isFull) connection.finish(end, deadlineMs);
    }
  }

  destroy(end: ConnectionEnd): void {
    this.stopWaiting();
    for (const connection of [...this.#members.keys()]) connection.destroy(end);
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
    const { proofTimeoutMs } = this.#host.options;
    for (const [connection, { role }] of [...this.#members]) {
      if (role === 'retiring') connection.finish('rotated', proofTimeoutMs);
    }
    this.#host.serving();
  }

  /** Retires a connection: its successor opens first when there is work, then the known-bad frame proves it. */
  #rotate(connection: BinaryConnection): void {
    const { clock, proofTimeoutMs } = this.#host.options;
    const member = this.#members.get(connection);
    if (member?.role !== 'serving' || connection.state !== 'open') return;
    member.role = 'retiring';
    if (this.queue.size === 0) connection.finish('rotated', proofTimeoutMs);
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
      if (isIdle && now - connection.lastWriteMs >= this.#limits.idleTimeoutMs) connection.destroy('idle');
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
    const { named, unprocessed, answer } = closure;
    if (named !== undefined && answer?.meaning !== 'accepted') {
      this.#ahead.cutAfter(connection.window.issued - countOf(unprocessed) - 1);
    }
    const { clock } = this.#host.options;
    this.#host.ended(this, {
      id: connection.id,
      closure,
      livedMs: member.openedMs === undefined ? 0 : clock.now() - member.openedMs,
      wasSilent: member.role === 'silent',
    });
  }
}
