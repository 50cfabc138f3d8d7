import type { ConnectionEnd } from '../transport/transport.ts';

// Node's socket and TLS errors, mapped by their code; the one place that knows the codes.

const ends: Readonly<Record<string, ConnectionEnd>> = {
  ECONNRESET: 'reset',
  EPIPE: 'write-error',
  ETIMEDOUT: 'reset',
  ENETUNREACH: 'reset',
  EHOSTUNREACH: 'reset',
  ECONNREFUSED: 'connect-failed',
  ENOTFOUND: 'connect-failed',
  EAI_AGAIN: 'connect-failed',
  EPROTO: 'tls-failed',
};

/** What an error of a socket means for its connection. */
export function connectionEndOf(error: unknown): ConnectionEnd {
  const code = codeOf(error);
  if (code === undefined) return 'reset';
  if (isCredentialAlert(code)) return 'credential-refused';
  return ends[code] ?? (isTlsCode(code) ? 'tls-failed' : 'reset');
}

/** One line for logs: the code, where there is one, and the message. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = codeOf(error);
  // OpenSSL's own words, without the place in its sources.
  if ('reason' in error && typeof error.reason === 'string') return `${code}: ${error.reason}`;
  return code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The far end refused our certificate, rather than we theirs. */
function isCredentialAlert(code: string): boolean {
  return /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code);
}

function isTlsCode(code: string): boolean {
  return code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || /CERT|SIGNATURE|ISSUER/.test(code);
}
