import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import {
  type ClientCertificate,
  type GatewayEnvironment,
  isForEnvironment,
  readClientCertificate,
} from './client-certificate.ts';
import { GatewayPort } from './gateway-port.ts';
import type { ServerIdentity } from './tls-directory.ts';

/** A connection whose handshake is done and whose certificate has been accepted. */
export interface GatewayLink {
  /** Of its port, from 1. */
  readonly number: number;
  /** The topic of its certificate. */
  readonly app: string;
  readonly socket: TLSSocket;
  /** Resets the TCP connection: what is in buffers on either side is lost. */
  reset(): void;
}

export interface TlsPortOptions {
  readonly name: 'binary' | 'feedback';
  readonly host: string;
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly environment: GatewayEnvironment;
  readonly faults: FaultBook;
  readonly onLink: (link: GatewayLink) => void;
}

/**
 * Opens a port that speaks TLS and wants a client certificate: the binary gateway's or the feedback service's.
 * A certificate for the wrong environment passes the handshake and is cut right after it (PROTOCOL section 1).
 */
export async function openTlsPort(options: TlsPortOptions): Promise<GatewayPort> {
  const { identity, environment, onLink } = options;
  const server: Server = createServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // A client that leaves during the handshake is not noticed otherwise for two minutes.
    handshakeTimeout: 5_000,
  });
  const port = await GatewayPort.open({
    name: options.name,
    host: options.host,
    port: options.port,
    faults: options.faults,
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
    const certificate: ClientCertificate | undefined = readClientCertificate(socket);
    if (certificate === undefined || !isForEnvironment(certificate, environment)) {
      port.counts.wrongEnvironment += 1;
      socket.destroy();
      return;
    }
    onLink({ ...port.connectionOf(socket), app: certificate.topic, socket });
  });
  return port;
}
