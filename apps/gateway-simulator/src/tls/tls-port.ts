import type { TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import { type GatewayEnvironment, isForEnvironment, readClientCertificate } from './client-certificate.ts';
import type { GatewayPort } from './gateway-port.ts';
import { openSecurePort } from './secure-port.ts';
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
 * A certificate for the wrong environment passes the handshake and is cut right after it
 * (`docs/protocol/binary.md#wrong-environment`).
 */
export async function openTlsPort(options: TlsPortOptions): Promise<GatewayPort> {
  const { environment, onLink, ...port } = options;
  return openSecurePort({
    ...port,
    tls: { rejectUnauthorized: true },
    onSecure: (socket, opened) => {
      // None once the connection is gone.
      const shown = socket.getPeerX509Certificate();
      const certificate = shown === undefined ? undefined : readClientCertificate(shown);
      if (certificate === undefined || !isForEnvironment(certificate, environment)) return 'wrongEnvironment';
      onLink({ ...opened.connectionOf(socket), app: certificate.topic, socket });
      return undefined;
    },
  });
}
