import type { ConnectionEnd } from '../transport/transport.ts';
import type { Access } from './access.ts';
import { Http2Connection, type Http2ConnectionEvents } from './connection.ts';
import type { ResolvedHttp2Options } from './options.ts';

let connectionsMade = 0;

/** The few connections of a transport: which of them is to write next, and whether there is to be one more. */
export class ConnectionPool {
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #events: Http2ConnectionEvents;
  readonly #connections = new Set<Http2Connection>();

  constructor(options: ResolvedHttp2Options, access: Access, events: Http2ConnectionEvents) {
    this.#options = options;
    this.#access = access;
    this.#events = events;
  }

  /** Connections, in whatever state. */
  get size(): number {
    return this.#connections.size;
  }

  get openConnections(): number {
    let open = 0;
    for (const { isOpen } of this.#connections) if (isOpen) open++;
    return open;
  }

  /** Whether all there are, if any, are on their way out. */
  get isLeft(): boolean {
    for (const { isLeaving } of this.#connections) if (!isLeaving) return false;
    return true;
  }

  /** Of those that take something now, the one that has the least in flight. */
  leastLoaded(): Http2Connection | undefined {
    let best: Http2Connection | undefined;
    for (const connection of this.#connections) {
      if (!connection.isWritable) continue;
      if (best === undefined || connection.streams.size < best.streams.size) best = connection;
    }
    return best;
  }

  /** As `connect`, when all are at their limit, none is on its way, and there may be more. */
  grow(): number | undefined {
    let active = 0;
    for (const connection of this.#connections) {
      if (connection.isLeaving) continue;
      active++;
      // One that is on its way, or about to be trusted, comes first.
      if (!connection.isOpen || !connection.isTrusted || !connection.isSaturated) return undefined;
    }
    return active < this.#options.connections ? this.connect() : undefined;
  }

  /** Opens a connection where the gate allows it. Gives how long to wait, milliseconds; undefined: nothing is to come. */
  connect(): number | undefined {
    const { host, clock, authentication } = this.#options;
    const { gate, secureContext } = this.#access;
    const delayMs = gate.delayMs(clock.now());
    if (delayMs > 0) return delayMs;
    if (secureContext === undefined) return undefined;
    const startsSmall = gate.failures > 0;
    gate.started(clock.now());
    const id = `${host}#${++connectionsMade}`;
    const needsToken = authentication.kind === 'token';
    this.#connections.add(
      new Http2Connection(this.#options, { id, secureContext, needsToken, startsSmall }, this.#events),
    );
    return 0;
  }

  /** Has one connection ask whether the gateway takes our credential, once the gateway allows it a stream. */
  probe(authorization: string | undefined): void {
    for (const connection of this.#connections) connection.probe(authorization);
  }

  /** It has ended. */
  remove(connection: Http2Connection): void {
    this.#connections.delete(connection);
  }

  tick(hasWork: boolean): void {
    for (const connection of [...this.#connections]) connection.tick(hasWork);
  }

  leaveAll(end: ConnectionEnd, detail: string): void {
    for (const connection of [...this.#connections]) connection.leave(end, detail);
  }

  destroyAll(end: ConnectionEnd): void {
    for (const connection of [...this.#connections]) connection.destroy(end);
  }
}
