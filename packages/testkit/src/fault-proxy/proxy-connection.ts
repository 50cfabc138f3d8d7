import { connect, type Socket } from 'node:net';
import type { Random } from '../generators.ts';
import { StreamPump } from './stream-pump.ts';
import type { CutMode, Direction, ToxicSet } from './toxics.ts';

/** After FIN, how long the other side may take to close too, milliseconds. */
const lingerMs = 1_000;

export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** One client's connection through the proxy. */
export class ProxyConnection {
  /** Settles when both sockets are gone; never rejects. */
  readonly closed: Promise<void>;
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #abort = new AbortController();
  readonly #pumps: Readonly<Record<Direction, StreamPump>>;
  readonly #toxics: Readonly<Record<Direction, ToxicSet>>;
  #cut = false;

  constructor(
    client: Socket,
    target: ProxyTarget,
    options: { toxics: Readonly<Record<Direction, ToxicSet>>; random: Random },
  ) {
    this.#client = client;
    this.#target = connect({ ...target, allowHalfOpen: true });
    this.#toxics = options.toxics;
    const connection = { signal: this.#abort.signal, cut: (how: CutMode) => this.cut(how) };
    const { upstream, downstream } = options.toxics;
    const { random } = options;
    this.#pumps = {
      upstream: new StreamPump(client, this.#target, { toxics: upstream, connection, random }),
      downstream: new StreamPump(this.#target, client, { toxics: downstream, connection, random }),
    };
    for (const socket of [this.#client, this.#target]) {
      socket.setNoDelay(true);
      // A side that breaks breaks the other in the same way.
      socket.on('error', (error: NodeJS.ErrnoException) => {
        this.cut(error.code === 'ECONNREFUSED' ? 'close' : 'reset');
      });
    }
    const gone = [this.#client, this.#target].map(
      (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    this.closed = Promise.all(gone).then(() => this.#abort.abort());
    void this.#run();
  }

  /** Bytes passed on so far. */
  forwarded(direction: Direction): number {
    return this.#pumps[direction].forwarded;
  }

  /** Ends it: `close` with FIN to both sides, `reset` with RST. */
  cut(how: CutMode): void {
    if (this.#cut && how === 'close') return;
    this.#cut = true;
    this.#abort.abort();
    for (const socket of [this.#client, this.#target]) {
      if (how === 'reset') reset(socket);
      else endGently(socket);
    }
  }

  async #run(): Promise<void> {
    const watches = (['upstream', 'downstream'] as const).map(async (direction) => this.#watch(direction));
    await Promise.all([this.#pumps.upstream.run(), this.#pumps.downstream.run()]);
    // Both directions ended in order.
    if (!this.#cut) for (const socket of [this.#client, this.#target]) socket.destroySoon();
    await this.closed;
    await Promise.all(watches);
  }

  /** Toxics that end the connection by time, whether or not anything flows. */
  async #watch(direction: Direction): Promise<void> {
    const toxics = this.#toxics[direction];
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const reset = toxics.find('reset_peer');
      const hole = toxics.find('timeout');
      const toxic = reset ?? (hole !== undefined && hole.timeoutMs > 0 ? hole : undefined);
      if (toxic === undefined) {
        await toxics.change(signal);
        continue;
      }
      const deadline = performance.now() + toxic.timeoutMs;
      while (!signal.aborted && toxics.has(toxic) && performance.now() < deadline) {
        await toxics.change(signal, deadline - performance.now());
      }
      if (!signal.aborted && toxics.has(toxic)) this.cut(toxic.type === 'reset_peer' ? 'reset' : 'close');
    }
  }
}

/** RST; without it where our end is already on its way, since libuv refuses both, and Node then never closes. */
function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/**
 * FIN, and then reading on until the other side closes as well: closing a socket with unread data would send RST
 * instead, and the other side could lose what it has not read yet.
 */
function endGently(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.connecting) {
    socket.destroy();
    return;
  }
  socket.removeAllListeners('data');
  socket.end();
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('end', () => socket.destroySoon());
  if (socket.readableEnded) socket.destroySoon();
  socket.once('close', () => clearTimeout(linger));
}
