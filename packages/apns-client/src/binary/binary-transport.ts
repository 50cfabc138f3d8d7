import { createSecureContext, type SecureContext } from 'node:tls';
import type { ErrorResponse } from '@pushfleet/apns-wire';
import { describeError } from '../node-error.ts';
import type { NotificationRun, Transport, TransportState } from '../transport.ts';
import {
  BinaryConnection,
  type BinaryConnectionClosure,
  type BinaryConnectionEvents,
} from './binary-connection.ts';
import {
  type BinaryTransportOptions,
  type ResolvedOptions,
  resolveOptions,
} from './binary-transport-options.ts';
import { ConnectGate } from './connect-gate.ts';
import type { Span } from './span.ts';
import { SpanQueue } from './span-queue.ts';
import { gatewayAnswer, type StatusMeaning } from './status-policy.ts';

// The binary gateway behind the Transport interface: a queue of spans, and a few connections that write from its
// front. Why one queue and not one per connection: what a gateway discarded must go out again before anything newer
// of its run, on whichever connection is free first.
//
// Everything handed over is in exactly one place: in the queue (not written), in the window of one connection
// (written), or settled. Moves happen in one turn of the event loop, so no fault can find a notification in none.

/**
 * Builds a transport; opens nothing before the first run. With a credential that is missing or cannot be used it is
 * paused, says why, and goes on by itself once the credential is mended.
 */
export function createBinaryTransport(options: BinaryTransportOptions): Transport {
  return new BinaryTransport(resolveOptions(options));
}

let connectionsMade = 0;

class BinaryTransport implements Transport {
  readonly #options: ResolvedOptions;
  readonly #gate: ConnectGate;
  readonly #queue = new SpanQueue();
  readonly #connections = new Set<BinaryConnection>();
  /** Opened and still keeping the silence that shows whether the gateway takes the certificate. */
  readonly #silent = new Map<BinaryConnection, () => void>();
  /** Connections that take no more runs: their proof is due, and a successor is on its way. */
  readonly #retiring = new Set<BinaryConnection>();
  readonly #openedAtMs = new Map<BinaryConnection, number>();
  readonly #unsubscribe: () => void;
  readonly #capacity: number;
  readonly #events: BinaryConnectionEvents;
  /** Undefined while the credential cannot be used. */
  #secureContext: SecureContext | undefined;
  #listener: () => void = () => {};
  #inFlight = 0;
  #full = false;
  #pumpScheduled = false;
  #cancelConnectTimer: (() => void) | undefined;
  #cancelTick: (() => void) | undefined;
  /** Whether the tick under way comes at the pace of confirmation, or only looks after idle connections. */
  #tickIsBusy = false;
  #cancelDrainTimer: (() => void) | undefined;
  #lastRotationMs = 0;
  #drained: (() => void) | undefined;
  #drainUntilMs: number | undefined;
  #destroying = false;
  #closed = false;
  #reportedState = 'idle';

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#capacity = options.window * options.connections;
    this.#gate = new ConnectGate(options);
    this.#loadCredential();
    this.#unsubscribe = options.credential.onChange(() => this.#credentialChanged());
    this.#events = {
      opened: (connection) => this.#opened(connection),
      writable: () => this.#pump(),
      proved: (run, from, to) => {
        this.#settled(to - from);
        run.sink.accepted(from, to, 'proved');
      },
      named: (run, position, meaning, status) => this.#named(run, position, meaning, status),
      errorResponse: (connection, response, located) => this.#errorResponse(connection, response, located),
      ended: (connection, closure) => this.#ended(connection, closure),
    };
  }

  get state(): TransportState {
    if (this.#closed) return { kind: 'closed' };
    const { pause } = this.#gate;
    if (pause !== undefined) return { kind: 'paused', ...pause };
    const connections = this.#count((connection) => connection.isOpen);
    if (connections > 0) return { kind: 'open', connections };
    if (this.#connections.size > 0) return { kind: 'connecting', attempt: this.#gate.failures + 1 };
    const now = this.#options.clock.now();
    const delay = this.#gate.delayMs(now);
    if (delay > 0 && this.#gate.failures > 0) {
      return { kind: 'backing-off', untilMs: now + delay, cause: this.#gate.cause };
    }
    return { kind: 'idle' };
  }

  get room(): number {
    if (this.#closed || this.#drainUntilMs !== undefined || this.#gate.pause !== undefined) return 0;
    return this.#capacity - this.#inFlight;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  onRoom(listener: () => void): void {
    this.#listener = listener;
  }

  submit(run: NotificationRun): void {
    const { count } = run.columns;
    if (this.#closed || this.#drainUntilMs !== undefined || this.#gate.pause !== undefined) {
      run.sink.unprocessed(0, count);
      return;
    }
    this.#inFlight += count;
    this.#full = this.room <= 0;
    this.#queue.push({ run, from: 0, to: count });
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    // What is submitted in one turn goes out in one write.
    queueMicrotask(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  drain(deadlineMs: number): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const { clock } = this.#options;
    this.#drainUntilMs ??= clock.now() + deadlineMs;
    this.#cancelDrainTimer ??= clock.after(deadlineMs, () => this.destroy());
    return new Promise((resolve) => {
      const before = this.#drained;
      this.#drained = () => {
        before?.();
        resolve();
      };
      this.#pump();
      this.#continueDrain();
    });
  }

  destroy(): void {
    if (this.#closed) return;
    this.#drainUntilMs ??= this.#options.clock.now();
    this.#destroying = true;
    for (const connection of [...this.#connections]) connection.destroy('drained');
    this.#handBack();
    this.#finish();
  }

  /** Writes from the front of the queue to whichever connection has the least in flight, as long as one takes it. */
  #pump(): void {
    if (this.#closed || this.#destroying) return;
    while (this.#queue.size > 0) {
      const connection = this.#leastLoaded();
      if (connection === undefined) break;
      connection.write(this.#source);
    }
    if (this.#queue.size > 0) this.#connectIfUseful();
    this.#keepTicking();
    this.#continueDrain();
  }

  /** The queue as a connection reads it: notifications whose time has passed are settled on the way. */
  readonly #source = {
    take: (written: number): Span | undefined => {
      const queue = this.#queue;
      if (written > 0) {
        const { run, from } = queue.front()!;
        queue.advance(written);
        run.sink.written(from, from + written);
      }
      for (;;) {
        const span = queue.front();
        if (span === undefined) return undefined;
        const live = this.#settleExpired(span);
        if (live !== undefined) return live;
      }
    },
  };

  /** Settles what has expired at the front of a span; gives the live stretch that follows, if there is one. */
  #settleExpired(span: Span): Span | undefined {
    const { expirations } = span.run.columns;
    const nowSeconds = Math.floor(this.#options.clock.now() / 1000);
    const isExpired = (position: number) =>
      expirations[position]! !== 0 && expirations[position]! <= nowSeconds;
    let from = span.from;
    while (from < span.to && isExpired(from)) from++;
    if (from > span.from) {
      this.#queue.advance(from - span.from);
      this.#settled(from - span.from);
      span.run.sink.expired(span.from, from);
      if (from === span.to) return undefined;
    }
    let to = from + 1;
    while (to < span.to && !isExpired(to)) to++;
    return { run: span.run, from, to };
  }

  #leastLoaded(): BinaryConnection | undefined {
    let best: BinaryConnection | undefined;
    for (const connection of this.#connections) {
      if (!connection.isWritable || this.#silent.has(connection) || this.#retiring.has(connection)) continue;
      if (best === undefined || connection.window.size < best.window.size) best = connection;
    }
    return best;
  }

  /** Opens one more connection when the queue waits, none is on its way, and there may be more. */
  #connectIfUseful(): void {
    if (this.#closed || this.#queue.size === 0) return;
    const active = this.#connections.size - this.#retiring.size;
    if (active >= this.#options.connections) return;
    if (this.#count((connection) => connection.isConnecting) > 0 || this.#silent.size > 0) return;
    this.#connect();
  }

  #connect(): void {
    const { clock } = this.#options;
    const delay = this.#gate.delayMs(clock.now());
    if (delay > 0) {
      this.#cancelConnectTimer ??= clock.after(delay, () => {
        this.#cancelConnectTimer = undefined;
        if (this.#gate.pause !== undefined) this.#connect();
        else this.#pump();
      });
      this.#reportState();
      return;
    }
    if (this.#closed || this.#secureContext === undefined) return;
    this.#gate.started(clock.now());
    const connection = new BinaryConnection(
      {
        ...this.#options,
        id: `${this.#options.host}#${++connectionsMade}`,
        secureContext: this.#secureContext,
      },
      this.#events,
    );
    this.#connections.add(connection);
    this.#reportState();
  }

  #opened(connection: BinaryConnection): void {
    const { clock, handshakeSilenceMs, observer } = this.#options;
    this.#openedAtMs.set(connection, clock.now());
    this.#observe(() => observer.connectionOpened?.(connection.id));
    if (!this.#gate.unproven) {
      this.#becomeUsable();
      return;
    }
    const cancel = clock.after(handshakeSilenceMs, () => {
      this.#silent.delete(connection);
      this.#gate.proven();
      this.#becomeUsable();
    });
    this.#silent.set(connection, cancel);
  }

  #becomeUsable(): void {
    this.#proveRetired();
    this.#reportState();
    this.#pump();
    this.#tellRoom();
  }

  #errorResponse(connection: BinaryConnection, { status }: ErrorResponse, located: string): void {
    // The gateway reads what we send and answers it: whatever is wrong, it is not the connection.
    if (located !== 'unknown') this.#gate.proven();
    this.#observe(() => this.#options.observer.errorResponse?.(connection.id, status));
  }

  #named(run: NotificationRun, position: number, meaning: StatusMeaning, status: number): void {
    switch (meaning) {
      case 'accepted':
        this.#settled(1);
        run.sink.accepted(position, position + 1, 'proved');
        return;
      case 'rejected':
        this.#settled(1);
        run.sink.rejected(position, gatewayAnswer(status));
        return;
      case 'retryable':
        this.#settled(1);
        run.sink.retryable(position, gatewayAnswer(status));
        return;
      case 'credential':
        this.#gate.refused(this.#options.clock.now(), gatewayAnswer(status).reason, true);
        this.#requeued.push({ run, from: position, to: position + 1 });
        return;
      case 'unprocessed':
        this.#requeued.push({ run, from: position, to: position + 1 });
        return;
      default:
        meaning satisfies never;
    }
  }

  /** Named by the error response that is being handled, and to be sent again before what came after it. */
  #requeued: Span[] = [];

  #ended(connection: BinaryConnection, closure: BinaryConnectionClosure): void {
    const { clock, observer } = this.#options;
    this.#connections.delete(connection);
    this.#retiring.delete(connection);
    this.#silent.get(connection)?.();
    const wasSilent = this.#silent.delete(connection);
    const openedAt = this.#openedAtMs.get(connection);
    this.#openedAtMs.delete(connection);
    this.#observe(() =>
      observer.connectionClosed?.(
        connection.id,
        closure.end,
        openedAt === undefined ? 0 : clock.now() - openedAt,
      ),
    );

    const replayed = [...this.#requeued, ...closure.unprocessed];
    this.#requeued = [];
    this.#queue.unshift(replayed);
    if (replayed.length > 0) this.#observe(() => observer.replayed?.(countOf(replayed)));
    if (closure.uncertain.length > 0) {
      this.#observe(() => observer.uncertain?.(countOf(closure.uncertain), closure.end));
      for (const { run, from, to } of closure.uncertain) {
        this.#settled(to - from);
        run.sink.uncertain(from, to, closure.end);
      }
    }
    this.#judge(closure, wasSilent);
    if (this.#gate.pause !== undefined) this.#handBack();
    this.#reportState();
    this.#pump();
    if (this.#gate.pause !== undefined && this.#drainUntilMs === undefined && !this.#closed) this.#connect();
    this.#continueDrain();
    this.#tellRoom();
  }

  /** What an ended connection says of the gateway and of our credential. */
  #judge(closure: BinaryConnectionClosure, wasSilent: boolean): void {
    const now = this.#options.clock.now();
    switch (closure.end) {
      case 'error-response':
      case 'drained':
      case 'rotated':
      case 'idle':
        return;
      case 'tls-failed':
      case 'credential-refused':
        this.#gate.refused(now, closure.detail, closure.end === 'credential-refused');
        return;
      default:
        if (wasSilent) this.#gate.refused(now, 'credential-refused', false);
        else this.#gate.failed(now, closure.detail);
    }
  }

  /** Settles by silence, and rotates or closes connections whose time has come. */
  #tick(): void {
    const { clock, confirm, confirmAfterMs, idleTimeoutMs } = this.#options;
    const now = clock.now();
    for (const connection of [...this.#connections]) {
      if (!connection.isOpen) continue;
      if (confirm === 'presumed') {
        connection.takeSilentSince(now - confirmAfterMs, (run, from, to) => {
          this.#settled(to - from);
          run.sink.accepted(from, to, 'presumed');
        });
      } else if ((connection.oldestFlushMs ?? Infinity) <= now - confirmAfterMs) {
        if (now - this.#lastRotationMs >= this.#options.rotationFloorMs) this.#rotate(connection, now);
      }
      if (connection.window.size === 0 && now - connection.lastWriteMs >= idleTimeoutMs)
        connection.destroy('idle');
    }
    this.#tellRoom();
    this.#pump();
  }

  #keepTicking(): void {
    const { clock, confirmAfterMs, idleTimeoutMs } = this.#options;
    const busy = this.#inFlight > this.#queue.size;
    if (this.#cancelTick !== undefined) {
      if (!busy || this.#tickIsBusy) return;
      this.#cancelTick();
      this.#cancelTick = undefined;
    }
    if (this.#connections.size === 0 || this.#closed) return;
    const pauseMs = busy ? Math.min(1_000, Math.max(5, confirmAfterMs / 8)) : Math.min(idleTimeoutMs, 30_000);
    this.#tickIsBusy = busy;
    this.#cancelTick = clock.after(pauseMs, () => {
      this.#cancelTick = undefined;
      this.#tick();
    });
  }

  /** Retires a connection: its successor opens first when there is work, then the known-bad frame proves it. */
  #rotate(connection: BinaryConnection, now: number): void {
    if (this.#retiring.has(connection)) return;
    this.#lastRotationMs = now;
    this.#retiring.add(connection);
    if (this.#queue.size > 0) this.#connectIfUseful();
    if (this.#queue.size === 0 || this.#leastLoaded() !== undefined) this.#proveRetired();
  }

  #proveRetired(): void {
    for (const connection of [...this.#retiring]) connection.prove('rotated', this.#options.proofTimeoutMs);
  }

  #credentialChanged(): void {
    if (!this.#loadCredential()) return;
    this.#gate.retryNow();
    this.#cancelConnectTimer?.();
    this.#cancelConnectTimer = undefined;
    for (const connection of [...this.#connections]) {
      if (connection.isOpen) this.#rotate(connection, this.#options.clock.now());
    }
    if (this.#gate.pause !== undefined) this.#connect();
    else this.#pump();
  }

  #continueDrain(): void {
    if (this.#drainUntilMs === undefined || this.#closed || this.#destroying) return;
    // Nothing is on its way to a gateway that does not answer: no reason to wait for the deadline.
    if (this.#queue.size > 0 && this.#connections.size === 0) this.#handBack();
    if (this.#queue.size > 0) return;
    const left = Math.max(1, this.#drainUntilMs - this.#options.clock.now());
    for (const connection of [...this.#connections]) connection.prove('drained', left);
    if (this.#connections.size === 0) this.#finish();
  }

  #handBack(): void {
    for (const { run, from, to } of this.#queue.takeAll()) {
      this.#settled(to - from);
      run.sink.unprocessed(from, to);
    }
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    this.#cancelConnectTimer?.();
    this.#cancelTick?.();
    this.#cancelDrainTimer?.();
    for (const cancel of this.#silent.values()) cancel();
    this.#reportState();
    this.#drained?.();
  }

  #settled(count: number): void {
    this.#inFlight -= count;
  }

  #tellRoom(): void {
    if (this.#full && this.room > 0) {
      this.#full = false;
      this.#observe(this.#listener);
    }
  }

  #reportState(): void {
    const { state } = this;
    if (state.kind === this.#reportedState) return;
    this.#reportedState = state.kind;
    this.#full = this.#full || state.kind === 'paused';
    this.#observe(() => this.#options.observer.stateChanged?.(state));
    this.#observe(this.#listener);
  }

  /** Observers cannot break the caller. */
  #observe(call: () => void): void {
    try {
      call();
    } catch {
      // An observer's failure is the observer's.
    }
  }

  #count(is: (connection: BinaryConnection) => boolean): number {
    let count = 0;
    for (const connection of this.#connections) if (is(connection)) count++;
    return count;
  }

  /** Without a usable credential the transport is paused until its source says that there is another. */
  #loadCredential(): boolean {
    const { ca, clock, credential } = this.#options;
    try {
      const { cert, key } = credential.current();
      this.#secureContext = createSecureContext({
        cert,
        key,
        minVersion: 'TLSv1.2',
        ...(ca === undefined ? {} : { ca }),
      });
      return true;
    } catch (error) {
      // Connections that live on the last good one go on.
      if (this.#secureContext === undefined) this.#gate.refused(clock.now(), describeError(error), true);
      return false;
    }
  }
}

function countOf(spans: readonly Span[]): number {
  let count = 0;
  for (const { from, to } of spans) count += to - from;
  return count;
}
