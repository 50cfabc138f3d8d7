import type { TLSSocket } from 'node:tls';
import {
  type GatewayEnvironment,
  isForEnvironment,
  readClientCertificate,
} from '../tls/client-certificate.ts';
import type { Reason } from './reasons.ts';

/** Who is at the other end: a certificate, or a provider whose every request carries a token. */
export type ClientIdentity =
  | { readonly kind: 'token' }
  | { readonly kind: 'certificate'; readonly defaultTopic: string; readonly topics: readonly string[] }
  /** A certificate that is not taken: every request is answered with the reason. */
  | { readonly kind: 'refused'; readonly reason: Reason };

/** What the handshake has shown. */
export function readClientIdentity(socket: TLSSocket, environment: GatewayEnvironment): ClientIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: 'token' };
  const read = readClientCertificate(certificate);
  // Not signed by our authority, out of date, or none for pushes.
  if (!socket.authorized || read === undefined || !isForEnvironment(read, 'any'))
    return { kind: 'refused', reason: 'BadCertificate' };
  if (!isForEnvironment(read, environment)) return { kind: 'refused', reason: 'BadCertificateEnvironment' };
  return { kind: 'certificate', defaultTopic: read.topic, topics: read.topics };
}
