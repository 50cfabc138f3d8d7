import { performServerHandshake } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { NotificationLog } from '../ledger/notification-log.ts';
import type { TokenSizes } from '../options.ts';
import type { GatewayEnvironment } from '../tls/client-certificate.ts';
import type { GatewayPort } from '../tls/gateway-port.ts';
import { openSecurePort } from '../tls/secure-port.ts';
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
  /**
   * Whether a client without a certificate gets one stream until its first valid token
   * (`docs/protocol/http2.md#streams`).
   */
  readonly oneStreamUntilToken: boolean;
  readonly tokenSizes: TokenSizes;
  readonly lingerMs: number;
}

/** Opens the HTTP/2 gateway (`docs/protocol/http2.md#requests`). A client certificate is taken where there is one. */
export async function openHttp2Gateway(options: Http2GatewayOptions): Promise<GatewayPort> {
  const { host, port, identity, faults } = options;
  return openSecurePort({
    ...{ name: 'http2', host, port, identity, faults },
    // A certificate that is not taken is told so in the answers.
    tls: { rejectUnauthorized: false, ALPNProtocols: ['h2'] },
    onSecure: (socket, opened) => {
      if (socket.alpnProtocol !== 'h2') return 'handshakeFailed';
      serve(socket, opened.connectionOf(socket), options);
      return undefined;
    },
  });
}

function serve(
  socket: TLSSocket,
  connection: { readonly number: number; reset(): void },
  options: Http2GatewayOptions,
): void {
  const { environment, verifier, channels, tokenSizes, maxStreams, ledger, log, lingerMs } = options;
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
    {
      ...{ ledger, log, book: options.faults, faults, authorization, channels, tokenSizes },
      ...{ streamsWithToken, lingerMs },
    },
  );
}
