import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultBook } from '../faults/fault-book.ts';
import type { PortName } from '../faults/fault-schema.ts';

/** What happened at a port since the start or the last reset. */
export interface PortCounts {
  /** TCP connections, refused ones included. */
  accepted: number;
  /** Reset at once by the fault `refuse`. */
  refused: number;
  /** Ended in the handshake: no certificate, one that nobody trusts, or no TLS at all. */
  handshakeFailed: number;
  /** Cut after the handshake: the certificate is for the other environment, or for none. */
  wrongEnvironment: number;
}

export interface GatewayPortOptions {
  readonly name: PortName;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly faults: FaultBook;
  /** Takes the connection to its handshake. */
  readonly onSocket: (socket: Socket) => void;
}

interface AcceptedSocket {
  readonly socket: Socket;
  readonly number: number;
  readonly peer: string;
}

/** Another listener took the port while a fault had it closed; retried this often, milliseconds. */
const reopenEveryMs = 20;

/**
 * A TCP port of the gateway, before any TLS: numbers the connections, refuses them by script, and can reset and count
 * them, which the TLS layer above cannot.
 */
export class GatewayPort {
  readonly name: PortName;
  readonly counts: PortCounts = { accepted: 0, refused: 0, handshakeFailed: 0, wrongEnvironment: 0 };
  readonly #options: GatewayPortOptions;
  readonly #accepted = new Set<AcceptedSocket>();
  readonly #stopWatchingFaults: () => void;
  readonly #closed = new AbortController();
  #server: Server | undefined;
  #port: number;
  #reopening: NodeJS.Timeout | undefined;

  private constructor(options: GatewayPortOptions) {
    this.name = options.name;
    this.#options = options;
    this.#port = options.port;
    this.#stopWatchingFaults = options.faults.onChange(async () => this.#followFaults());
  }

  /** @throws Node's listen errors, such as EADDRINUSE. */
  static async open(options: GatewayPortOptions): Promise<GatewayPort> {
    const port = new GatewayPort(options);
    try {
      await port.#listen();
    } catch (error) {
      await port.close();
      throw error;
    }
    return port;
  }

  get port(): number {
    return this.#port;
  }

  /** TCP connections that are open now. */
  get open(): number {
    return this.#accepted.size;
  }

  /** The number of the connection below a TLS socket, and the way to reset it. */
  connectionOf(peer: Pick<Socket, 'remoteAddress' | 'remotePort'>): { number: number; reset(): void } {
    const key = peerKey(peer);
    const accepted = [...this.#accepted].find((candidate) => candidate.peer === key);
    return { number: accepted?.number ?? 0, reset: () => accepted?.socket.resetAndDestroy() };
  }

  restartNumbering(): void {
    Object.assign(this.counts, { accepted: 0, refused: 0, handshakeFailed: 0, wrongEnvironment: 0 });
  }

  /** Stops listening and cuts what is open. */
  async close(): Promise<void> {
    this.#stopWatchingFaults();
    this.#closed.abort();
    clearTimeout(this.#reopening);
    this.#stopListening();
    const ends = [...this.#accepted].map(async ({ socket }) => {
      socket.destroy();
      if (!socket.closed) await once(socket, 'close');
    });
    await Promise.all(ends);
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    server.listen({ host: this.#options.host, port: this.#port });
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #accept(socket: Socket): void {
    this.counts.accepted += 1;
    const number = this.counts.accepted;
    // The TLS socket on top reports errors; this is about those before it exists.
    socket.on('error', () => undefined);
    const refusal = this.#options.faults
      .forConnection(this.name, number, undefined)
      .find(({ rule, isInForce }) => rule.action.kind === 'refuse' && isInForce);
    if (refusal !== undefined) {
      refusal.fire();
      this.counts.refused += 1;
      socket.resetAndDestroy();
      return;
    }
    const accepted: AcceptedSocket = { socket, number, peer: peerKey(socket) };
    this.#accepted.add(accepted);
    socket.once('close', () => this.#accepted.delete(accepted));
    this.#options.onSocket(socket);
  }

  /** Closes the port while a rule `closePort` is in force, and opens it again afterwards. */
  async #followFaults(): Promise<void> {
    clearTimeout(this.#reopening);
    const rule = this.#options.faults
      .forPort(this.name)
      .find(({ rule: { action }, isInForce }) => action.kind === 'closePort' && isInForce);
    if (rule === undefined) {
      if (this.#server === undefined) await this.#reopen();
      return;
    }
    if (this.#server !== undefined) {
      rule.fire();
      this.#stopListening();
    }
    this.#reopening = setTimeout(() => void this.#followFaults(), Math.max(0, rule.remainingMs));
  }

  async #reopen(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      try {
        await this.#listen();
        return;
      } catch {
        // Refused by nobody but the kernel, because another has the port: wait for it.
        await delay(reopenEveryMs, undefined, { signal: this.#closed.signal }).catch(() => undefined);
      }
    }
  }
}

function peerKey({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress}:${remotePort}`;
}
