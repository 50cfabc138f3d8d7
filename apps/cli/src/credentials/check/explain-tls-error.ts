/** What Node's codes of failed connections mean here, and what to do. */
const explanations: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host: check its name, and the DNS of this machine',
  EAI_AGAIN: 'the DNS of this machine does not answer',
  ECONNREFUSED: 'nothing listens there: check host and port, and that the gateway runs',
  ECONNRESET: 'the connection was cut: a firewall or proxy in between, or a gateway that takes nobody now',
  ETIMEDOUT: 'no answer: outgoing connections to this port may be blocked by a firewall',
  EHOSTUNREACH: 'there is no way to this host from here',
  ENETUNREACH: 'there is no way to this network from here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the gateway's certificate is signed by an authority that is not trusted here: name its PEM file as ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the gateway's certificate is signed by an authority that is not trusted here: name its PEM file as ca",
  SELF_SIGNED_CERT_IN_CHAIN:
    "the gateway's authority is not trusted here: name its PEM file as ca, if it is the right one",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "the gateway's certificate is signed by itself: name its PEM file as ca, if it is the right one",
  CERT_HAS_EXPIRED: "the gateway's certificate has expired, or the clock of this machine is wrong",
  CERT_NOT_YET_VALID: "the gateway's certificate is not valid yet: is the clock of this machine wrong?",
  ERR_TLS_CERT_ALTNAME_INVALID: "the gateway's certificate is for another host: check the host's name",
  ERR_SSL_WRONG_VERSION_NUMBER: 'what answers there does not speak TLS: check the port',
};

/** @param error Of a socket. */
export function explainTlsError(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  if (isRefusalOfCertificate(code)) return certificateRefused;
  return explanations[code];
}

/** The gateway refused our certificate, rather than we theirs. */
export function isRefusalOfCertificate(code: string): boolean {
  return /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)/.test(code);
}

export const certificateRefused =
  'the gateway does not take this certificate: it is revoked, expired, or signed by an authority that it does not trust';

export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}
