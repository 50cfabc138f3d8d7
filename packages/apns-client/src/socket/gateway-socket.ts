import { isIP } from 'node:net';
import { checkServerIdentity, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { ChunkPool } from './chunk-pool.ts';
import { sharedLookup } from './shared-lookup.ts';

// A TLS connection as the binary protocol needs it: an error response that comes before the end is read, also after a
// write has failed.

/** What becomes of a socket. After `ended` or `failed`, or its own `destroy`, nothing more comes. */
export interface GatewaySocketEvents {
  /** The handshake is done as far as we can see; with TLS 1.3 the far end may still refuse our certificate. */
  opened(): void;
  received(bytes: Uint8Array): void;
  /** Nothing can be written any more; what the gateway said before it hung up may still come. */
  writeFailed(error: unknown): void;
  /** The gateway has closed its side: nothing more comes. */
  ended(): void;
  failed(error: unknown): void;
}

export interface GatewaySocket {
  /** Writes the first `length` bytes of a chunk of the pool; `taken` is called once the kernel has them, if it gets them. */
  write(chunk: Buffer, length: number, taken: () => void): void;
  destroy(): void;
}

export interface GatewaySocketOptions {
  readonly host: string;
  readonly port: number;
  /** Name or address that the gateway's certificate must carry. */
  readonly serverName: string;
  readonly secureContext: SecureContext;
  /** TCP keepalive: first probe after so much silence, milliseconds. */
  readonly keepAliveMs: number;
}

export type OpenGatewaySocket = (options: GatewaySocketOptions, events: GatewaySocketEvents) => GatewaySocket;

/**
 * The last TLS session with a gateway that was verified, for each credential: the next connection takes it up, which
 * spares both sides the signatures of a handshake. Where bad tokens cost connections, that is half of the cost.
 */
const sessions = new WeakMap<SecureContext, Buffer>();

/** Connects; the name is looked up anew each time. */
export const openGatewaySocket: OpenGatewaySocket = (options, events) => {
  const { serverName, secureContext } = options;
  const session = sessions.get(secureContext);
  const socket = connect({
    ...(session === undefined ? {} : { session }),
    host: options.host,
    port: options.port,
    lookup: sharedLookup,
    // An address is no name for SNI (RFC 6066 section 3); it is verified all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    secureContext,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, options.keepAliveMs);
  const state = { opened: false, answered: false, over: false };
  const finish = (report: () => void): void => {
    if (state.over) return;
    state.over = true;
    // It may have been the session that the gateway did not like.
    if (!state.answered) sessions.delete(secureContext);
    report();
    socket.destroy();
  };
  keepReadingAfterWriteErrors(socket, state, events);
  socket.on('secureConnect', () => {
    if (state.over) return;
    state.opened = true;
    events.opened();
  });
  // Only from a gateway that has been verified: a session that is taken up is not verified again.
  socket.on('session', (next) => {
    if (state.opened && !state.over) sessions.set(secureContext, next);
  });
  socket.on('data', (bytes) => {
    if (state.over) return;
    state.answered = true;
    events.received(bytes);
  });
  // The end comes after all that was sent: there is nothing to wait for.
  socket.on('end', () => finish(() => events.ended()));
  socket.on('error', (error) => finish(() => events.failed(error)));
  socket.on('close', () => finish(() => events.ended()));
  return {
    write: (chunk, length, taken) => {
      socket.write(length === chunk.length ? chunk : chunk.subarray(0, length), (error) => {
        ChunkPool.give(chunk);
        if (error == null && !state.over) taken();
      });
    },
    destroy: () => {
      state.over = true;
      socket.destroy();
    },
  };
};

/**
 * Node gives a socket up when a write on it fails, and with it what the gateway sent before it hung up: the error
 * response (`docs/protocol/binary.md#late-errors`). So the stream is not told of the failure: it waits for that
 * write, takes no further ones, and goes on reading.
 */
function keepReadingAfterWriteErrors(
  socket: TLSSocket,
  state: { readonly opened: boolean; readonly over: boolean },
  events: GatewaySocketEvents,
): void {
  const quietly =
    (callback: WriteCallback): WriteCallback =>
    (error) => {
      if (error == null || !state.opened || state.over) callback(error);
      else events.writeFailed(error);
    };
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  socket._write = (chunk, encoding, callback) => write(chunk, encoding, quietly(callback));
  if (writev !== undefined) socket._writev = (chunks, callback) => writev(chunks, quietly(callback));
}

type WriteCallback = (error?: Error | null) => void;
