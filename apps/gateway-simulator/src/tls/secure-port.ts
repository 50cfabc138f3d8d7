import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import type { PortName } from '../faults/fault-schema.ts';
import { GatewayPort } from './gateway-port.ts';
import type { ServerIdentity } from './tls-directory.ts';

export interface SecurePortOptions {
  readonly name: PortName;
  readonly host: string;
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly faults: FaultBook;
  /** What of TLS is not the same at every port. */
  readonly tls: Pick<TlsOptions, 'rejectUnauthorized' | 'ALPNProtocols'>;
  /** Takes a connection whose handshake is done; gives the count under which it is turned away, if it is. */
  readonly onSecure: (
    socket: TLSSocket,
    port: GatewayPort,
  ) => 'handshakeFailed' | 'wrongEnvironment' | undefined;
}

/** Opens a port that speaks TLS, and asks for a client certificate. */
export async function openSecurePort(options: SecurePortOptions): Promise<GatewayPort> {
  const { name, host, identity, faults, tls, onSecure } = options;
  const server = createServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    requestCert: true,
    minVersion: 'TLSv1.2',
    // A client that leaves during the handshake is not noticed otherwise for two minutes.
    handshakeTimeout: 5_000,
    ...tls,
  });
  const port = await GatewayPort.open({
    ...{ name, host, port: options.port, faults },
    // The TLS server listens nowhere itself: what the port accepts is handed to it.
    onSocket: (socket) => server.emit('connection', socket),
  });
  server.on('tlsClientError', (_, socket) => {
    port.counts.handshakeFailed += 1;
    socket.destroy();
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    // Every error ends in `close`, which is all that matters here.
    socket.on('error', () => undefined);
    const refusal = onSecure(socket, port);
    if (refusal === undefined) return;
    port.counts[refusal] += 1;
    socket.destroy();
  });
  return port;
}
