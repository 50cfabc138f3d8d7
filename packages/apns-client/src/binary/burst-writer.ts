import type { Connections } from '../transport/connections.ts';
import { handBack } from '../transport/span.ts';
import type { SpanQueue } from '../transport/span-queue.ts';
import type { WaitingSpans } from '../transport/waiting-spans.ts';
import type { AfterDoubt } from './after-doubt.ts';
import type { BinaryClosure } from './closure.ts';
import type { BinaryConnection } from './connection.ts';
import type { ResolvedOptions } from './options.ts';

// After a doubtful end one connection of a group writes alone, a burst at a time (after-doubt.ts), until bursts have
// become so long that they are no limit any more. With `proved` each burst ends its connection with a proof.

export interface BurstWriterOptions {
  readonly options: ResolvedOptions;
  readonly queue: SpanQueue;
  readonly source: WaitingSpans;
  readonly doubt: AfterDoubt;
  readonly connections: Connections<BinaryConnection>;
}

export class BurstWriter {
  readonly #options: ResolvedOptions;
  readonly #queue: SpanQueue;
  readonly #source: WaitingSpans;
  readonly #doubt: AfterDoubt;
  readonly #connections: Connections<BinaryConnection>;
  #connection: BinaryConnection | undefined;

  constructor({ options, queue, source, doubt, connections }: BurstWriterOptions) {
    this.#options = options;
    this.#queue = queue;
    this.#source = source;
    this.#doubt = doubt;
    this.#connections = connections;
  }

  /** The connection that writes bursts; undefined: none has been chosen. */
  get connection(): BinaryConnection | undefined {
    return this.#connection;
  }

  /** Writes what is left of the burst under way. `no-connection`: none can write one. */
  pump(): 'pumped' | 'no-connection' {
    this.#connection ??= this.#findIdle();
    const connection = this.#connection;
    if (connection === undefined) return 'no-connection';
    if (connection.state !== 'open') return 'pumped';
    if (this.#doubt.pace.written === 0 && !this.#begin(connection)) return 'pumped';
    while (this.#queue.size > 0 && this.#doubt.room > 0 && connection.isWritable) {
      this.#doubt.pace.write(connection.write(this.#source, this.#doubt.room));
    }
    this.prove(connection);
    return 'pumped';
  }

  /** With `proved`, a burst is proved as soon as it has been written. */
  prove(connection: BinaryConnection): void {
    const { confirm, window, proofTimeoutMs } = this.#options;
    const { inFlight } = connection;
    const isWritten = this.#doubt.room <= 0 || this.#queue.size === 0 || inFlight >= window;
    if (confirm !== 'proved' || !isWritten || inFlight === 0) return;
    if (connection.isOpen) connection.leave('rotated', proofTimeoutMs);
  }

  /** Silence has settled some of a burst. When all of it has settled, the next may be longer. */
  settled(connection: BinaryConnection): void {
    if (connection.inFlight > 0 || this.#doubt.pace.written === 0) return;
    this.#doubt.burstPassed(connection.presumed, this.#options.clock.now());
    if (!this.#doubt.pace.isActive) this.#connection = undefined;
  }

  /** A connection has ended. Where it wrote bursts and left nothing in doubt, the burst has passed. */
  ended(connection: BinaryConnection, { uncertain, settled }: BinaryClosure): void {
    if (connection !== this.#connection) return;
    this.#connection = undefined;
    if (uncertain.length === 0 && this.#doubt.pace.written > 0) {
      this.#doubt.burstPassed(settled, this.#options.clock.now());
    }
  }

  /** Brings back what was set aside. Returns whether there is something to write, and the connection may write it. */
  #begin(connection: BinaryConnection): boolean {
    const { clock, confirmAfterMs } = this.#options;
    this.#doubt.bringBack();
    if (this.#queue.size === 0) {
      // Nothing else is left that could pass.
      if (!this.#hasInFlight()) handBack(this.#doubt.takeAside());
      return false;
    }
    const openMs = clock.now() - (connection.openedMs ?? clock.now());
    return !this.#doubt.needsQuiet || openMs >= confirmAfterMs;
  }

  /** An open connection in which nothing else is in flight, which could be doubled along with a burst. */
  #findIdle(): BinaryConnection | undefined {
    for (const connection of this.#connections) {
      if (connection.state === 'open' && connection.inFlight === 0) return connection;
    }
    return undefined;
  }

  #hasInFlight(): boolean {
    for (const { inFlight } of this.#connections) if (inFlight > 0) return true;
    return false;
  }
}
