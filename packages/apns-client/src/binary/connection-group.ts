import type { CredentialContext } from '../socket/credential.ts';
import { Connections, createConnectionId } from '../transport/connections.ts';
import { countOf, type Span } from '../transport/span.ts';
import { SpanQueue } from '../transport/span-queue.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import { acceptedAs } from '../transport/verdicts.ts';
import { WaitingSpans } from '../transport/waiting-spans.ts';
import { AfterDoubt, type DoubtDecision } from './after-doubt.ts';
import { BurstWriter } from './burst-writer.ts';
import type { BinaryClosure } from './closure.ts';
import { BinaryConnection } from './connection.ts';
import type { BinaryGate } from './gate.ts';
import type { ResolvedOptions } from './options.ts';
import { SlowStart } from './slow-start.ts';
import { longestByShortest, WriteAhead } from './write-ahead.ts';

// A queue, and the few connections that write from its front. Why one queue and not one per connection: what a gateway
// discarded must go out again before anything newer of its run, on whichever connection is free first.

export interface GroupOptions {
  readonly transport: ResolvedOptions;
  readonly gate: BinaryGate;
  readonly credential: CredentialContext;
  /** A connection that wrote nothing for this long is closed, milliseconds. */
  readonly idleTimeoutMs: number;
  /** What goes over it has had errors, and more are to be expected. */
  readonly expectsErrors: boolean;
  /** Part of the attempts to connect that may come at once that it leaves to other groups, 0 to 1. */
  readonly reservedForOthers: number;
}

/** What a group tells its transport. */
export interface GroupEvents {
  opened(connection: BinaryConnection): void;
  /** A connection takes frames now. */
  serving(): void;
  ended(group: ConnectionGroup, connection: BinaryConnection, closure: BinaryClosure): void;
  /** The time to try again has come. */
  retryDue(group: ConnectionGroup): void;
}

/** However long the handshake took, a silence is no longer than this, milliseconds. */
const longestSilenceMs = 2_000;
/** After this long without a write, everything that waits has been written, milliseconds. */
const longestQuietMs = 100;

export class ConnectionGroup {
  readonly queue = new SpanQueue();
  readonly connections = new Connections<BinaryConnection>();
  readonly #group: GroupOptions;
  readonly #options: ResolvedOptions;
  readonly #events: GroupEvents;
  readonly #source: WaitingSpans;
  readonly #ahead: WriteAhead;
  readonly #doubt: AfterDoubt;
  readonly #bursts: BurstWriter;
  #cancelRetry: (() => void) | undefined;
  #lastRotationMs = Number.NEGATIVE_INFINITY;

  constructor(group: GroupOptions, events: GroupEvents) {
    const { shortestStretch, command, confirm, clock } = group.transport;
    this.#group = group;
    this.#options = group.transport;
    this.#events = events;
    this.#source = new WaitingSpans(this.queue, clock);
    this.#ahead = new WriteAhead(shortestStretch, group.expectsErrors);
    // A burst that is proved takes a round trip: there is time to be careful.
    const pace = new SlowStart(shortestStretch * longestByShortest, confirm === 'proved' ? 64 : 1);
    this.#doubt = new AfterDoubt(this.queue, command, pace);
    this.#bursts = new BurstWriter({
      options: group.transport,
      queue: this.queue,
      source: this.#source,
      doubt: this.#doubt,
      connections: this.connections,
    });
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
      if (this.#bursts.pump() === 'no-connection') this.#grow();
      return;
    }
    while (this.queue.size > 0) {
      const connection = this.connections.leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#source);
    }
    if (this.queue.size > 0) this.#grow();
  }

  /** Settles by silence, and rotates or closes connections whose time has come. */
  tick(): void {
    const { confirm, confirmAfterMs } = this.#options;
    for (const connection of [...this.connections]) {
      if (confirm === 'proved') {
        if (connection === this.#bursts.connection) this.#bursts.prove(connection);
        else this.#prove(connection);
      } else {
        connection.takeSilent(confirmAfterMs, (run, from, to) => {
          this.#doubt.passed(run, from, to);
          run.settled(from, to, acceptedAs.presumed);
        });
        if (connection === this.#bursts.connection) this.#bursts.settled(connection);
      }
    }
    this.#closeIdle();
    this.pump();
  }

  /** Opens a connection, now or when the gate allows it. */
  connect(): void {
    const { gate, credential, reservedForOthers } = this.#group;
    const { clock, host } = this.#options;
    const delayMs = gate.delayMs(clock.now(), reservedForOthers);
    if (delayMs > 0) {
      this.#cancelRetry ??= clock.after(delayMs, () => {
        this.#cancelRetry = undefined;
        this.#events.retryDue(this);
      });
      return;
    }
    // The group that probes tells all others how it went.
    if (gate.isProbing) return;
    credential.refresh();
    const { secureContext } = credential;
    if (secureContext === undefined) return;
    gate.started(clock.now());
    const stretch = this.#ahead.begin();
    this.connections.add(
      new BinaryConnection(
        { ...this.#options, stretch, id: createConnectionId(host), secureContext },
        {
          opened: (connection) => this.#opened(connection),
          trusted: () => {
            gate.trusted();
            this.#serving();
          },
          progressed: () => this.pump(),
          ended: (connection, closure) => this.#ended(connection, closure),
        },
      ),
    );
  }

  /** Forgets when it wanted to try again. */
  stopWaiting(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  /** The credential changed: connections that live end with a proof, those that do not yet are given up. */
  renew(): void {
    for (const connection of [...this.connections]) {
      if (connection.isComing) connection.destroy('rotated');
      else this.#rotate(connection);
    }
  }

  /** Puts frames that an ended connection left in doubt where they are to wait, where they are sent again. */
  judgeDoubt({ uncertain, end, settled }: BinaryClosure): DoubtDecision {
    return this.#doubt.judge(uncertain, end, settled, this.#options.clock.now());
  }

  /** Frames were left in doubt, and given back: only the pace is to follow. */
  slowDown({ uncertain, settled }: BinaryClosure): void {
    this.#doubt.pace.doubted(countOf(uncertain), settled, this.#options.clock.now());
  }

  /** Ends every connection with a proof; while something waits, only those that can take no more of it. */
  leaveAll(end: ConnectionEnd, deadlineMs: number): void {
    const { proofTimeoutMs, window } = this.#options;
    for (const connection of [...this.connections]) {
      const { inFlight } = connection;
      // What silence has settled is asked for, and not waited for until the deadline.
      const withinMs = inFlight === 0 ? Math.min(deadlineMs, proofTimeoutMs) : deadlineMs;
      if (this.waiting === 0 || inFlight >= window) connection.leave(end, withinMs);
    }
  }

  destroyAll(end: ConnectionEnd): void {
    this.stopWaiting();
    for (const connection of [...this.connections]) connection.destroy(end);
  }

  /** Proves what is in flight when it is due, or at once when nothing more is to be written for now. */
  #prove(connection: BinaryConnection): void {
    const { clock, confirmAfterMs, rotationFloorMs } = this.#options;
    const now = clock.now();
    if (now - this.#lastRotationMs < rotationFloorMs) return;
    const isDue = (connection.oldestFlushMs ?? Number.POSITIVE_INFINITY) <= now - confirmAfterMs;
    const isQuiet = now - connection.lastWriteMs >= Math.min(longestQuietMs, confirmAfterMs);
    const isAllWritten = this.waiting === 0 && connection.isFlushed && connection.inFlight > 0;
    if (isDue || (isAllWritten && isQuiet)) this.#rotate(connection);
  }

  /** Opens one more connection, unless one is on its way or there may be no more. Returns whether one is coming. */
  #grow(): boolean {
    let serving = 0;
    for (const connection of this.connections) {
      if (connection.isComing) return true;
      if (connection.state === 'open') serving++;
    }
    if (serving >= this.#options.connections) return false;
    const before = this.connections.size;
    this.connect();
    return this.connections.size > before;
  }

  #opened(connection: BinaryConnection): void {
    const { gate } = this.#group;
    const { handshakeSilenceMs, proofTimeoutMs } = this.#options;
    this.#events.opened(connection);
    if (this.#doubt.shouldAsk) {
      // It costs no notification a copy.
      connection.probe('rotated', proofTimeoutMs);
    } else if (gate.isUnproven) {
      // With TLS 1.3 a refusal takes a round trip more than our side of the handshake, which took at least two.
      const tookMs = Math.min(longestSilenceMs, connection.handshakeMs);
      connection.serveAfter(Math.max(handshakeSilenceMs, tookMs));
    } else {
      connection.serve();
      this.#serving();
    }
  }

  /** A connection takes frames: those that have waited for their successor leave. */
  #serving(): void {
    for (const connection of [...this.connections]) {
      if (connection.state === 'retiring') connection.leave('rotated', this.#options.proofTimeoutMs);
    }
    this.#events.serving();
  }

  /** Retires a connection: its successor opens first when there is work, then the known-bad frame proves it. */
  #rotate(connection: BinaryConnection): void {
    const { clock, proofTimeoutMs } = this.#options;
    if (connection.state !== 'open') return;
    connection.retire();
    if (this.queue.size === 0) connection.leave('rotated', proofTimeoutMs);
    else if (!this.#grow()) {
      // No successor may come now: better this one than none.
      connection.serve();
      return;
    }
    this.#lastRotationMs = clock.now();
  }

  #closeIdle(): void {
    const { clock, proofTimeoutMs } = this.#options;
    const now = clock.now();
    for (const connection of [...this.connections]) {
      const isIdle = connection.state === 'open' && connection.inFlight === 0;
      if (isIdle && now - connection.lastWriteMs >= this.#group.idleTimeoutMs) {
        connection.leave('idle', proofTimeoutMs);
      }
    }
  }

  #ended(connection: BinaryConnection, closure: BinaryClosure): void {
    this.connections.delete(connection);
    if (connection.openedMs === undefined) {
      // No successor after all.
      for (const other of this.connections) if (other.state === 'retiring') other.serve();
    }
    this.#learn(connection, closure);
    this.#bursts.ended(connection, closure);
    this.#events.ended(this, connection, closure);
  }

  /** What the end of a connection says of the gateway: how late its errors come, and what it took. */
  #learn(
    connection: BinaryConnection,
    { named, unprocessed, lagMs, answer, end, proved }: BinaryClosure,
  ): void {
    if (named !== undefined) this.#ahead.cutAfter(connection.window.issued - countOf(unprocessed) - 1);
    if (lagMs !== undefined) this.#ahead.errorCame(lagMs);
    if (named !== undefined) this.#doubt.decided();
    else if (answer?.understood === true) this.#doubt.answered();
    // Silence says nothing against a gateway that need not answer.
    else if (end === 'proof-timeout' && this.#options.confirm === 'presumed') this.#doubt.answered();
    for (const { run, from, to } of proved) this.#doubt.passed(run, from, to);
  }
}
