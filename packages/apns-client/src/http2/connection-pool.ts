import { Connections, createConnectionId } from '../transport/connections.ts';
import type { ConnectionEnd, TransportFigures } from '../transport/transport.ts';
import type { Access } from './access.ts';
import type { Http2Closure } from './closure.ts';
import { Http2Connection, type Http2ConnectionEvents } from './connection.ts';
import { type ConnectionsInUse, Demand } from './demand.ts';
import type { ResolvedHttp2Options } from './options.ts';

/**
 * Requests on a connection whose gateway has not said how many it takes: no server is to take fewer than 100 (RFC 9113
 * section 6.5.2), and clients in wide use begin with that (docs/protocol/http2.md#streams).
 */
const mostEarlyStreams = 100;
/** Of the attempts to connect that may come at once, the part that is kept for connections in place of lost ones. */
const reservedForOthers = 0.25;

/** The connections of a transport: which of them is to write next, and whether there are to be more, or fewer. */
export class ConnectionPool {
  readonly connections = new Connections<Http2Connection>();
  readonly #options: ResolvedHttp2Options;
  readonly #access: Access;
  readonly #events: Http2ConnectionEvents;
  readonly #demand: Demand;
  /** The gateway has dealt with a request under this credential. */
  #isProven = false;
  /** How many streams the gateway allowed at first on the last connection. */
  #firstStreams = mostEarlyStreams;

  constructor(options: ResolvedHttp2Options, access: Access, events: Http2ConnectionEvents) {
    const { connections: most, leastConnections, shrinkAfterMs } = options;
    this.#options = options;
    this.#access = access;
    this.#events = events;
    this.#demand = new Demand({ least: Math.min(leastConnections, most), most, shrinkAfterMs });
  }

  /** Whether all there are, if any, are on their way out. */
  get isLeft(): boolean {
    for (const { state } of this.connections) if (state !== 'leaving') return false;
    return true;
  }

  /** Whether there are connections, and fewer than are always to be kept. */
  get isShort(): boolean {
    return this.#options.leastConnections > this.connections.size && this.connections.open > 0;
  }

  get figures(): TransportFigures {
    const { wanted, need } = this.#demand;
    return { wanted, need, connections: [...this.connections].map(({ figures }) => figures) };
  }

  /** Everything that can be written has been. @param waiting Requests that no connection takes now. */
  look(waiting: number): void {
    this.#demand.look(this.#inUse(waiting), this.#options.clock.now());
  }

  /**
   * Opens the first connection as `connect` does; others as far as more are wanted, and may be had. As many are on their
   * way at a time as are served already: what is refused to one is not refused to all.
   */
  grow(): number | undefined {
    let active = 0;
    let serving = 0;
    for (const connection of this.connections) {
      if (connection.state === 'leaving') continue;
      active++;
      if (connection.isOpen && connection.isTrusted) serving++;
    }
    if (active === 0) return this.connect();
    const nowMs = this.#options.clock.now();
    const { gate, isInDoubt } = this.#access;
    if (isInDoubt || gate.failures > 0 || !this.#demand.mayGrow(nowMs)) return undefined;
    const atOnce = serving === 0 ? 0 : Math.max(2 * serving, this.#options.leastConnections);
    const missing = Math.min(this.#demand.wanted, atOnce) - active;
    if (missing <= 0) return undefined;
    const granted = this.#options.allowance.grant(this, active + missing - 1) + 1 - active;
    for (let opened = 0; opened < granted; opened++) {
      if (gate.delayMs(nowMs, reservedForOthers) > 0 || this.connect() !== 0) break;
    }
    return undefined;
  }

  /**
   * Opens a connection where the gate allows it. Returns how long to wait, milliseconds; undefined: nothing is to come.
   */
  connect(): number | undefined {
    const { host, clock, authentication } = this.#options;
    const { gate, isInDoubt } = this.#access;
    const delayMs = gate.delayMs(clock.now());
    if (delayMs > 0) return delayMs;
    const secureContext = this.#access.refreshContext();
    if (secureContext === undefined) return undefined;
    for (const { hasServed } of this.connections) this.#isProven ||= hasServed;
    const setup = {
      id: createConnectionId(host),
      secureContext,
      // A token that is nobody's yet, or of another environment, is refused once, and not with every request.
      isInDoubt: isInDoubt || (authentication.kind === 'token' && !this.#isProven),
      startsSmall: gate.failures > 0,
      earlyStreams: this.#earlyStreams,
      answerTimes: this.#demand.answerTimes,
    };
    gate.started(clock.now());
    this.connections.add(new Http2Connection(this.#options, setup, this.#events));
    return 0;
  }

  opened({ firstStreams }: Http2Connection): void {
    this.#firstStreams = firstStreams!;
  }

  /** A connection has ended, and is no longer among the others. */
  ended({ hasServed, wasLeft }: Http2Closure): void {
    this.#isProven ||= hasServed;
    if (!hasServed && !wasLeft && !this.isLeft) this.#demand.grewInVain(this.#options.clock.now());
    this.#release();
  }

  /** There is another certificate: connections that live on the old one are left. */
  renew(): void {
    this.#isProven = false;
    this.leaveAll('rotated', 'the certificate was renewed');
  }

  /** Has one connection ask whether the gateway takes our credential, once the gateway allows it a stream. */
  probe(authorization: string | undefined): void {
    for (const connection of [...this.connections]) connection.probe(authorization);
  }

  /** @param waiting Requests that wait. @param isPaused A connection may be needed to ask whether a pause is over. */
  tick(waiting: number, isPaused: boolean): void {
    for (const connection of [...this.connections]) connection.tick(waiting > 0 || isPaused);
    this.#demand.tick(this.#inUse(waiting), this.#options.clock.now());
    this.#shrink();
    this.#release();
  }

  leaveAll(end: ConnectionEnd, detail: string): void {
    for (const connection of [...this.connections]) connection.leave(end, detail);
  }

  destroyAll(end: ConnectionEnd): void {
    for (const connection of [...this.connections]) connection.destroy(end);
  }

  /** The least that is at stake where nothing is known, and what the gateway has allowed before where something is. */
  get #earlyStreams(): number {
    if (this.#access.pause !== undefined) return 1;
    if (this.#access.gate.failures > 0) return 0;
    return this.#isProven && !this.#access.isInDoubt ? Math.min(mostEarlyStreams, this.#firstStreams) : 1;
  }

  /** Closes connections that are not wanted any more, those with the least under way first. */
  #shrink(): void {
    const active = [...this.connections].filter(({ isOpen }) => isOpen);
    const spare = active.length - this.#demand.wanted;
    if (spare <= 0) return;
    active.sort((one, other) => one.inFlight - other.inFlight);
    for (const connection of active.slice(0, spare)) connection.leave('idle', 'fewer connections are enough');
  }

  /** Others may have what is not used. */
  #release(): void {
    let active = 0;
    for (const { state } of this.connections) if (state !== 'leaving') active++;
    this.#options.allowance.grant(this, Math.max(0, active - 1));
  }

  #inUse(waiting: number): ConnectionsInUse {
    let [serving, underWay, roundTrips, sumMs] = [0, 0, 0, 0];
    let lack: ConnectionsInUse['lack'] = 'backlog';
    for (const connection of this.connections) {
      if (!connection.isOpen || !connection.isTrusted) continue;
      serving++;
      underWay += connection.inFlight;
      const { roundTripMs } = connection;
      if (roundTripMs !== undefined) {
        roundTrips++;
        sumMs += roundTripMs;
      }
      if (lack === 'backlog') lack = connection.lack;
    }
    return {
      serving,
      waiting,
      underWay,
      roundTripMs: roundTrips === 0 ? undefined : sumMs / roundTrips,
      lack,
    };
  }
}
