import { Connections, createConnectionId } from '../transport/connections.ts';
import type { ConnectionEnd } from '../transport/transport.ts';
import type { Access } from './access.ts';
import { Http2Connection, type Http2ConnectionEvents } from './connection.ts';
import type { ResolvedHttp2Options } from './options.ts';

/** The few connections of a transport: which of them is to write next, and whether there is to be one more. */
export class ConnectionPool {
  readonly connections = new Connections<Http2Connection>();
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #events: Http2ConnectionEvents;

  constructor(options: ResolvedHttp2Options, access: Access, events: Http2ConnectionEvents) {
    this.#options = options;
    this.#access = access;
    this.#events = events;
  }

  /** Whether all there are, if any, are on their way out. */
  get isLeft(): boolean {
    for (const { state } of this.connections) if (state !== 'leaving') return false;
    return true;
  }

  /** As `connect`, when all are at their limit, none is on its way, and there may be more. */
  grow(): number | undefined {
    let active = 0;
    for (const connection of this.connections) {
      if (connection.state === 'leaving') continue;
      active++;
      // One that is on its way, or about to be trusted, comes first.
      if (!connection.isOpen || !connection.isTrusted || !connection.isSaturated) return undefined;
    }
    return active < this.#options.connections ? this.connect() : undefined;
  }

  /**
   * Opens a connection where the gate allows it. Returns how long to wait, milliseconds; undefined: nothing is to come.
   */
  connect(): number | undefined {
    const { host, clock, authentication } = this.#options;
    const { gate } = this.#access;
    const delayMs = gate.delayMs(clock.now());
    if (delayMs > 0) return delayMs;
    const secureContext = this.#access.refreshContext();
    if (secureContext === undefined) return undefined;
    const startsSmall = gate.failures > 0;
    gate.started(clock.now());
    const id = createConnectionId(host);
    const needsToken = authentication.kind === 'token';
    this.connections.add(
      new Http2Connection(this.#options, { id, secureContext, needsToken, startsSmall }, this.#events),
    );
    return 0;
  }

  /** Has one connection ask whether the gateway takes our credential, once the gateway allows it a stream. */
  probe(authorization: string | undefined): void {
    for (const connection of [...this.connections]) connection.probe(authorization);
  }

  tick(hasWork: boolean): void {
    for (const connection of [...this.connections]) connection.tick(hasWork);
  }

  leaveAll(end: ConnectionEnd, detail: string): void {
    for (const connection of [...this.connections]) connection.leave(end, detail);
  }

  destroyAll(end: ConnectionEnd): void {
    for (const connection of [...this.connections]) connection.destroy(end);
  }
}
