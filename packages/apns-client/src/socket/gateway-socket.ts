import type { SecureContext, TLSSocket } from 'node:tls';
import { ChunkPool } from './chunk-pool.ts';
import { type DialOptions, dial } from './dial.ts';

// A TLS connection to a gateway, and the one place that knows how Node's sockets end:
//
// - A write that fails. Node gives the socket up, and with it what the gateway sent before it hung up: an error response
//   (`docs/protocol/binary.md#late-errors`), or answers and a GOAWAY. So the stream is not told of the failure: it waits
//   for that write, takes no further ones, and goes on reading. `writeFailed` says so.
// - The gateway closes its side. Node reports the end after everything that was sent before it: `ended`.
// - Anything else that breaks the connection: `failed`.

/** What becomes of a socket. After `ended` or `failed`, or its own `end` or `destroy`, nothing more comes. */
export interface GatewaySocketEvents {
  /**
   * TLS is up, and the gateway verified; with TLS 1.3 it may still refuse our certificate.
   * @param resumed An earlier session was taken up.
   */
  opened(resumed: boolean): void;
  received(bytes: Buffer): void;
  /** Nothing can be written any more; what the gateway said before it hung up may still come. */
  writeFailed(error: unknown): void;
  /** The gateway has closed its side: nothing more comes. */
  ended(): void;
  failed(error: unknown): void;
}

/** Nothing may be written before `opened`. */
export interface GatewaySocket {
  /** Writes the first `length` bytes of a chunk of the pool; `flushed` is called once the kernel has them, if it gets them. */
  write(chunk: Buffer, length: number, flushed: () => void): void;
  destroy(): void;
}

/** As HTTP/2 needs it. */
export interface FrameSocket extends GatewaySocket {
  /** Writes frames that are no requests. */
  control(bytes: Buffer): void;
  /** Bytes that the kernel has not taken. */
  readonly waitingBytes: number;
  /** Writes a last frame and closes, within a second. */
  end(bytes: Buffer): void;
}

export type GatewaySocketOptions = DialOptions;
export type OpenSocket<Socket extends GatewaySocket> = (
  options: GatewaySocketOptions,
  events: GatewaySocketEvents,
) => Socket;

/** How long the last frame may take, milliseconds. */
const lastFrameMs = 1_000;

/**
 * TLS sessions with a gateway that was verified, for each credential: the next connection takes one up, which spares both
 * sides the signatures of a handshake. Where bad tokens cost connections, that is half of the cost. The newest first; each
 * serves once as long as there is another (RFC 8446 appendix C.4).
 */
const sessions = new WeakMap<SecureContext, Buffer[]>();
/** Connections that are opened at once find one each. */
const mostSessions = 8;

function takeSession(secureContext: SecureContext): Buffer | undefined {
  const kept = sessions.get(secureContext);
  return kept !== undefined && kept.length > 1 ? kept.pop() : kept?.[0];
}

function keepSession(secureContext: SecureContext, session: Buffer): void {
  const kept = sessions.get(secureContext) ?? [];
  kept.push(session);
  if (kept.length > mostSessions) kept.shift();
  sessions.set(secureContext, kept);
}

/** Connects, through the proxy if there is one. The name is looked up anew each time. */
export const openGatewaySocket: OpenSocket<FrameSocket> = (options, events) => {
  const { secureContext } = options;
  let tls: TLSSocket | undefined;
  let isOver = false;
  let hasReceived = false;
  const finish = (report: () => void): void => {
    if (isOver) return;
    isOver = true;
    // It may have been the session that the gateway did not like.
    if (!hasReceived) sessions.delete(secureContext);
    report();
    tls?.destroy();
  };
  const dialling = dial(options, takeSession(secureContext), {
    failed: (error) => finish(() => events.failed(error)),
    opened: (socket) => {
      tls = socket;
      keepReadingAfterWriteErrors(socket, (error) => {
        if (isOver) return false;
        events.writeFailed(error);
        return true;
      });
      // Only from a gateway that has been verified: a session that is taken up is not verified again.
      socket.on('session', (session) => {
        if (!isOver) keepSession(secureContext, session);
      });
      socket.on('data', (bytes: Buffer) => {
        if (isOver) return;
        hasReceived = true;
        events.received(bytes);
      });
      socket.on('end', () => finish(() => events.ended()));
      socket.on('error', (error) => finish(() => events.failed(error)));
      socket.on('close', () => finish(() => events.ended()));
      events.opened(socket.isSessionReused());
    },
  });
  return {
    write(chunk, length, flushed) {
      tls!.write(length === chunk.length ? chunk : chunk.subarray(0, length), (error) => {
        ChunkPool.give(chunk);
        if (error == null && !isOver) flushed();
      });
    },
    control: (bytes) => void tls!.write(bytes),
    get waitingBytes() {
      return tls?.writableLength ?? 0;
    },
    end(bytes) {
      isOver = true;
      if (tls === undefined) {
        dialling.cancel();
        return;
      }
      const socket = tls;
      socket.end(bytes);
      const timer = setTimeout(() => socket.destroy(), lastFrameMs);
      socket.once('close', () => clearTimeout(timer));
    },
    destroy() {
      isOver = true;
      if (tls === undefined) dialling.cancel();
      else tls.destroy();
    },
  };
};

/** @param intercept Returns whether the stream is not to be told. */
function keepReadingAfterWriteErrors(socket: TLSSocket, intercept: (error: Error) => boolean): void {
  const quietly =
    (callback: WriteCallback): WriteCallback =>
    (error) => {
      if (error == null || !intercept(error)) callback(error);
    };
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, callback) => write(chunk, encoding, quietly(callback));
  if (writev !== undefined) socket._writev = (chunks, callback) => writev(chunks, quietly(callback));
}

type WriteCallback = (error?: Error | null) => void;
