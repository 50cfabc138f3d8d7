import type { TLSSocket } from 'node:tls';
import { type CertificateFacts, readCertificateFacts } from '@pushfleet/apns-credentials';
import type { GatewayEnvironment } from '../tls/client-certificate.ts';
import type { Reason } from './reasons.ts';

/** Who is at the other end: a certificate, or a provider whose every request carries a token. */
export type ClientIdentity =
  | { readonly kind: 'token' }
  | {
      readonly kind: 'certificate';
      readonly defaultTopic: string | undefined;
      readonly topics: readonly string[];
    }
  /** A certificate that is not taken: every request is answered with the reason. */
  | { readonly kind: 'refused'; readonly reason: Reason };

/** What the handshake has shown. */
export function readClientIdentity(socket: TLSSocket, environment: GatewayEnvironment): ClientIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: 'token' };
  let facts: CertificateFacts;
  try {
    facts = readCertificateFacts(certificate);
  } catch {
    return { kind: 'refused', reason: 'BadCertificate' };
  }
  // Not signed by our authority, or out of date.
  if (!socket.authorized || facts.purpose !== 'push') return { kind: 'refused', reason: 'BadCertificate' };
  if (environment !== 'any' && !facts.environments.includes(environment)) {
    return { kind: 'refused', reason: 'BadCertificateEnvironment' };
  }
  return {
    kind: 'certificate',
    defaultTopic: facts.defaultTopic,
    topics: facts.topics.map(({ topic }) => topic),
  };
}
