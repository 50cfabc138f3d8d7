import type { TLSSocket } from 'node:tls';
import { ChunkPool } from './chunk-pool.ts';
import { type OpenSocketOptions, openSocket } from './dial.ts';

// A TLS connection as the HTTP/2 transport needs it; for this transport, the one place that knows how Node's sockets end.

/** What becomes of a socket. After `ended` or `failed`, or its own `end` or `destroy`, nothing more comes. */
export interface Http2SocketEvents {
  /** The way to the gateway is open, and it speaks HTTP/2; with TLS 1.3 it may still refuse our certificate. */
  ready(): void;
  received(bytes: Buffer): void;
  /** Nothing can be written any more; what the gateway said before it hung up may still come. */
  writeFailed(error: unknown): void;
  /** The gateway has closed its side: nothing more comes. */
  ended(): void;
  failed(error: unknown): void;
}

export interface Http2Socket {
  /** Writes the first `length` bytes of a chunk of the pool; `taken` is called once the kernel has them, if it gets them. */
  write(chunk: Buffer, length: number, taken: () => void): void;
  /** Writes frames that are no requests. */
  control(bytes: Buffer): void;
  /** Bytes that the kernel has not taken. */
  readonly waitingBytes: number;
  /** Writes a last word and closes, within a second. */
  end(bytes: Buffer): void;
  destroy(): void;
}

export type OpenHttp2Socket = (options: OpenSocketOptions, events: Http2SocketEvents) => Http2Socket;

/** How long a last word may take, milliseconds. */
const lastWordMs = 1_000;

/** Connects, through the proxy if there is one. Nothing is written before `ready`. */
export const openHttp2Socket: OpenHttp2Socket = (options, events) => {
  let tls: TLSSocket | undefined;
  const state = { isOver: false };
  const finish = (report: () => void): void => {
    if (state.isOver) return;
    state.isOver = true;
    report();
    tls?.destroy();
  };
  const opening = openSocket(options, {
    failed: (error) => finish(() => events.failed(error)),
    ready: (socket) => {
      tls = socket;
      keepReadingAfterWriteErrors(socket, state, events);
      socket.on('data', (bytes: Buffer) => {
        if (!state.isOver) events.received(bytes);
      });
      socket.on('end', () => finish(() => events.ended()));
      socket.on('error', (error) => finish(() => events.failed(error)));
      socket.on('close', () => finish(() => events.ended()));
      events.ready();
    },
  });
  return {
    write(chunk, length, taken) {
      tls!.write(length === chunk.length ? chunk : chunk.subarray(0, length), (error) => {
        ChunkPool.give(chunk);
        if (error == null && !state.isOver) taken();
      });
    },
    control: (bytes) => void tls!.write(bytes),
    get waitingBytes() {
      return tls?.writableLength ?? 0;
    },
    end(bytes) {
      state.isOver = true;
      if (tls === undefined) {
        opening.cancel();
        return;
      }
      const socket = tls;
      socket.end(bytes);
      const timer = setTimeout(() => socket.destroy(), lastWordMs);
      socket.once('close', () => clearTimeout(timer));
    },
    destroy() {
      state.isOver = true;
      if (tls === undefined) opening.cancel();
      else tls.destroy();
    },
  };
};

/**
 * Node destroys a socket when a write on it fails, and with it the answers that the gateway sent before it hung up.
 * This intercepts that one case, and goes on reading.
 */
function keepReadingAfterWriteErrors(
  socket: TLSSocket,
  state: { readonly isOver: boolean },
  events: Http2SocketEvents,
): void {
  const destroy = socket.destroy.bind(socket);
  let isReported = false;
  socket.destroy = (error?: Error) => {
    const isWrite = error !== undefined && (error as NodeJS.ErrnoException).syscall === 'write';
    if (!isWrite || state.isOver) return destroy(error);
    if (!isReported) {
      isReported = true;
      events.writeFailed(error);
    }
    return socket;
  };
}
