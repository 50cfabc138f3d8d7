import { Socket } from 'node:net';

// What is on its way between the worker's sockets and a gateway of the same process, told by the counters of both ends:
// the kernel may take its time on a machine with much to do.

const realNow = performance.now.bind(performance);

/** How long the kernel takes to tell of an end, milliseconds of real time. */
const momentMs = 20;

/** Of Node's handle of a TCP socket. */
interface TcpHandle {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number;
}

type WithHandle = Socket & { readonly _handle?: (TcpHandle & { readonly _parent?: TcpHandle }) | null };

/** TLS lies upon a handle of TCP. */
function handleOf(socket: Socket): TcpHandle | undefined {
  const handle = (socket as WithHandle)._handle;
  return handle?._parent ?? handle ?? undefined;
}

export class Traffic {
  readonly #ports = new Set<number>();
  readonly #clients = new Set<Socket>();
  /** By the client's port. */
  readonly #accepted = new Map<number, { readonly socket: Socket; readonly handle: TcpHandle }>();
  /** Connections whose gateway does not read. */
  readonly #stalled = new Set<number>();
  /** Clients whose other end is not there, since when. */
  readonly #alone = new Map<Socket, number>();
  readonly #connect = Socket.prototype.connect;

  constructor() {
    const clients = this.#clients;
    const alone = this.#alone;
    const connect = this.#connect as (...args: unknown[]) => Socket;
    Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
      clients.add(this);
      this.once('close', () => {
        clients.delete(this);
        alone.delete(this);
      });
      return connect.apply(this, args);
    } as typeof Socket.prototype.connect;
  }

  watch(port: number): void {
    this.#ports.add(port);
  }

  /** A connection has come to a gateway; its socket before TLS. */
  accepted(socket: Socket): void {
    const port = socket.remotePort!;
    this.#accepted.set(port, { socket, handle: handleOf(socket)! });
    socket.once('close', () => this.#accepted.delete(port));
  }

  /** The gateway does not read from that port, until `reads`. */
  stalls(port: number): void {
    this.#stalled.add(port);
  }

  reads(port: number): void {
    this.#stalled.delete(port);
  }

  /** Whether anything is on its way. */
  get isMoving(): boolean {
    for (const client of this.#clients) {
      const { remotePort, localPort } = client;
      if (client.connecting) return true;
      if (remotePort === undefined || localPort === undefined || !this.#ports.has(remotePort)) continue;
      const near = handleOf(client);
      if (near === undefined) continue;
      const far = this.#accepted.get(localPort);
      // Accepted in a moment; or the gateway has closed it, of which the client hears in a moment.
      if (far === undefined) {
        const sinceMs = this.#alone.get(client) ?? realNow();
        this.#alone.set(client, sinceMs);
        if (!client.readableEnded && realNow() - sinceMs < momentMs) return true;
        continue;
      }
      this.#alone.delete(client);
      const { handle } = far;
      if (!this.#stalled.has(localPort) && near.bytesWritten - near.writeQueueSize > handle.bytesRead)
        return true;
      if (handle.bytesWritten - handle.writeQueueSize > near.bytesRead) return true;
    }
    return false;
  }

  end(): void {
    Socket.prototype.connect = this.#connect;
  }
}
