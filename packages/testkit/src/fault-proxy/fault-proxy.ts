import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createRandom, type Random } from '../generators.ts';
import { ProxyConnection, type ProxyTarget } from './proxy-connection.ts';
import { type CutMode, type Direction, type Toxic, ToxicSet } from './toxics.ts';

export interface FaultProxyOptions {
  /** Where connections go; `host` is 127.0.0.1 by default. */
  readonly target: { readonly host?: string; readonly port: number };
  /** The port of 127.0.0.1 to listen on; a free one by default. */
  readonly port?: number;
  /** For jitter and slices. */
  readonly seed?: number;
}

/**
 * A TCP proxy that breaks connections as networks and peers do, in the words of Shopify's toxiproxy. Toxics apply
 * at once to the connections there are and to those to come.
 */
export class FaultProxy {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly #server: Server;
  readonly #target: ProxyTarget;
  readonly #random: Random;
  readonly #toxics: Readonly<Record<Direction, ToxicSet>> = {
    upstream: new ToxicSet(),
    downstream: new ToxicSet(),
  };
  readonly #connections = new Set<ProxyConnection>();
  #accepted = 0;
  #arrivals: (() => void)[] = [];

  private constructor(server: Server, options: FaultProxyOptions) {
    this.#server = server;
    this.#target = { host: options.target.host ?? '127.0.0.1', port: options.target.port };
    this.#random = createRandom(options.seed ?? 1);
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client: Socket) => this.#accept(client));
  }

  static async open(options: FaultProxyOptions): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true });
    server.listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, options);
  }

  /** The connections there are, oldest first. */
  get connections(): readonly ProxyConnection[] {
    return [...this.#connections];
  }

  /** How many there have been. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Adds a toxic to one direction; the answer takes it away again. */
  add(direction: Direction, toxic: Toxic): () => void {
    return this.#toxics[direction].add(toxic);
  }

  /** Takes all toxics away. */
  clear(): void {
    this.#toxics.upstream.clear();
    this.#toxics.downstream.clear();
  }

  /** Ends the connections there are; new ones are taken as before. */
  cut(how: CutMode): void {
    for (const connection of this.#connections) connection.cut(how);
  }

  /** Refuses new connections from now on; those there are go on. */
  async disable(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      // `close` calls back only when the last connection is gone; the port is free at once.
      this.#server.close();
      setImmediate(resolve);
    });
  }

  /** Takes new connections again, on the same port. */
  async enable(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.port, this.host);
    await once(this.#server, 'listening');
  }

  /** Waits until so many connections have been accepted in all. */
  async waitForConnections(count: number, timeoutMs = 10_000): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (this.#accepted < count) {
      await new Promise<void>((resolve, reject) => {
        const tooLate = (): void => {
          reject(new Error(`${this.#accepted} of ${count} connections came within ${timeoutMs / 1_000} s`));
        };
        signal.addEventListener('abort', tooLate, { once: true });
        this.#arrivals.push(() => {
          signal.removeEventListener('abort', tooLate);
          resolve();
        });
      });
    }
  }

  /** Stops listening and resets every connection. */
  async close(): Promise<void> {
    await this.disable();
    this.cut('reset');
    await Promise.all([...this.#connections].map(async (connection) => connection.closed));
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    const connection = new ProxyConnection(client, this.#target, {
      toxics: this.#toxics,
      random: this.#random,
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    for (const arrived of this.#arrivals.splice(0)) arrived();
  }
}

/** Opens a proxy in front of a target; close it with `close()`. */
export async function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  return FaultProxy.open(options);
}
