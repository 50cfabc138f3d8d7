import type { TLSSocket } from 'node:tls';

/** Which gateway a certificate must be for; `any`: for one of the two. */
export type GatewayEnvironment = 'production' | 'sandbox' | 'any';

/** What the gateway reads from a client certificate (PROTOCOL section 3). */
export interface ClientCertificate {
  /** Default topic: the UID of the subject. */
  readonly topic: string;
  readonly production: boolean;
  /** Apple's word in certificates is "development". */
  readonly sandbox: boolean;
}

// The extension ids as they stand in the certificate: tag 06, length, 1.2.840.113635.100.6.3.n. As random bytes they
// come once in 2^96, so that no reader of ASN.1 is needed to find them.
const developmentExtension = Buffer.from('060a2a864886f76364060301', 'hex');
const productionExtension = Buffer.from('060a2a864886f76364060302', 'hex');

/** Reads the peer's certificate, which the handshake has verified; undefined when there is none, or no topic. */
export function readClientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  // Node.js gives an empty object for no certificate, and null once the connection is gone.
  const certificate = socket.getPeerCertificate() as Partial<
    ReturnType<TLSSocket['getPeerCertificate']>
  > | null;
  const topic = (certificate?.subject as { UID?: unknown } | undefined)?.UID;
  const raw = certificate?.raw;
  if (typeof topic !== 'string' || raw === undefined) return undefined;
  return {
    topic,
    production: raw.includes(productionExtension),
    sandbox: raw.includes(developmentExtension),
  };
}

export function isForEnvironment(certificate: ClientCertificate, environment: GatewayEnvironment): boolean {
  if (environment === 'any') return certificate.production || certificate.sandbox;
  return certificate[environment];
}
