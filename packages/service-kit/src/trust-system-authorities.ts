import { getCACertificates, setDefaultCACertificates } from 'node:tls';

let isDone = false;

/**
 * Makes this process trust the authorities of the system as well as those that Node.js brings along, wherever no `ca` is
 * named. The system's are what `update-ca-certificates` writes, or what SSL_CERT_FILE and SSL_CERT_DIR name; Node.js
 * does not look at them by itself. Reads them once.
 */
export function trustSystemAuthorities(): void {
  if (isDone) return;
  isDone = true;
  setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system')])]);
}
