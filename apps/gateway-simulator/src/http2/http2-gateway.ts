import { performServerHandshake } from 'node:http2';
import { createServer, type TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { NotificationLog } from '../ledger/notification-log.ts';
import type { GatewayEnvironment } from '../tls/client-certificate.ts';
import { GatewayPort } from '../tls/gateway-port.ts';
import type { ServerIdentity } from '../tls/tls-directory.ts';
import type { ChannelStore } from './channels/channel-store.ts';
import { ClientAuthorization } from './client-authorization.ts';
import { readClientIdentity } from './client-identity.ts';
import { FrameGate } from './frame-gate.ts';
import { Http2Connection } from './http2-connection.ts';
import { Http2Faults } from './http2-faults.ts';
import type { ProviderTokenVerifier } from './provider-token-verifier.ts';

export interface Http2GatewayOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly environment: GatewayEnvironment;
  readonly faults: FaultBook;
  readonly ledger: Ledger;
  readonly log: NotificationLog;
  readonly verifier: ProviderTokenVerifier;
  readonly channels: ChannelStore;
  /** SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly maxStreams: number;
  /** Whether a client without a certificate gets one stream until its first valid token (PROTOCOL section 4). */
  readonly oneStreamUntilToken: boolean;
  readonly lingerMs: number;
}

/** Opens the HTTP/2 gateway (PROTOCOL section 4). A client certificate is taken where there is one. */
export async function openHttp2Gateway(options: Http2GatewayOptions): Promise<GatewayPort> {
  const { identity } = options;
  const server = createServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    requestCert: true,
    // One that is not taken is told so in the answers.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2'],
    // A client that leaves during the handshake is not noticed otherwise for two minutes.
    handshakeTimeout: 5_000,
  });
  const port = await GatewayPort.open({
    name: 'http2',
    host: options.host,
    port: options.port,
    faults: options.faults,
    onSocket: (socket) => server.emit('connection', socket),
  });
  server.on('tlsClientError', (_, socket) => {
    port.counts.handshakeFailed += 1;
    socket.destroy();
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => undefined);
    if (socket.alpnProtocol !== 'h2') {
      port.counts.handshakeFailed += 1;
      socket.destroy();
      return;
    }
    serve(socket, port.connectionOf(socket), options);
  });
  return port;
}

function serve(
  socket: TLSSocket,
  connection: { readonly number: number; reset(): void },
  options: Http2GatewayOptions,
): void {
  const { environment, verifier, channels, maxStreams, ledger, log, lingerMs } = options;
  const identity = readClientIdentity(socket, environment);
  const authorization = new ClientAuthorization(identity, verifier);
  const faults = new Http2Faults(options.faults, connection.number);
  const isRestricted = options.oneStreamUntilToken && identity.kind === 'token';
  let served: Http2Connection | undefined;
  const gate = new FrameGate(socket, {
    lingerMs,
    dropsPing: () => faults.dropsPing(served?.handled ?? 0),
    onChunk: (bytes) => served?.chunkRead(bytes),
  });
  const session = performServerHandshake(gate, {
    settings: { maxConcurrentStreams: isRestricted ? 1 : maxStreams },
  });
  const streamsWithToken = isRestricted ? maxStreams : undefined;
  served = new Http2Connection(
    { ...connection, gate, session },
    { ledger, log, book: options.faults, faults, authorization, channels, streamsWithToken, lingerMs },
  );
}
