import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, getCACertificates, type PeerCertificate } from 'node:tls';
import { type FleetApp, readAuthorities } from '@pushfleet/service-kit';
import { type Finding, findingsAbout } from './finding.ts';

/** How long a gateway may take to show its certificate, milliseconds. */
const timeoutMs = 5_000;
const dayMs = 86_400_000;
/** Before that, somebody has to see to it. */
const soonDays = 30;

/** The chain that the app's gateway shows, and the authorities that it is held against. No credential is shown. */
export async function checkTrust(app: FleetApp, nowMs: number): Promise<Finding[]> {
  const { ok, warning, problem } = findingsAbout(`apps.${app.id}`);
  const { host, port, ca } = app.gateway;
  const source = ca === undefined ? systemSource() : ca;
  const shown = await readChain(app);
  if (typeof shown === 'string') {
    return [
      warning(
        `${host}:${port} shows no certificate (${shown}); it would be held against ${source}`,
        'Look whether TLS is spoken at that port, without a proxy that ends it.',
      ),
    ];
  }
  const { chain, refusal } = shown;
  const names = chain.map(nameOf).join(' ← ');
  if (refusal !== undefined) {
    return [
      problem(
        `the certificate of ${host} is not trusted (${refusal}): ${names}; held against ${source}`,
        'Name the file with its authority: gateway.ca of the app. Without one, those of Node.js and the system count.',
      ),
    ];
  }
  const ends = Math.min(...chain.map(({ valid_to }) => Date.parse(valid_to)));
  const days = Math.floor((ends - nowMs) / dayMs);
  const message = `the certificate of ${host} is trusted: ${names}; held against ${source}`;
  return days > soonDays
    ? [ok(message), ...ownAuthorities(app, nowMs)]
    : [
        warning(
          `${message}; one of it expires in ${days} days`,
          'Whoever runs the gateway has to renew it. Apple does so by itself.',
        ),
      ];
}

/** Authorities of an own file that have expired, or will soon. */
function ownAuthorities({ id, gateway }: FleetApp, nowMs: number): Finding[] {
  if (gateway.ca === undefined) return [];
  const { warning } = findingsAbout(`apps.${id}`);
  const blocks = readAuthorities(gateway.ca).match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks
    .map((block) => new X509Certificate(block))
    .filter(({ validTo }) => Date.parse(validTo) - nowMs < soonDays * dayMs)
    .map(({ subject, validTo }) =>
      warning(
        `${gateway.ca} holds an authority that ends ${new Date(validTo).toISOString()}: ${subject.replaceAll('\n', ', ')}`,
        'Put its successor into the file beside it: it is read anew for each connection.',
      ),
    );
}

function systemSource(): string {
  const { SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS } = process.env;
  const named = Object.entries({ SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  return `the authorities of Node.js and of the system${named.length === 0 ? '' : ` (${named.join(', ')})`}`;
}

interface Chain {
  /** From the gateway's own to the last that is known. */
  readonly chain: readonly PeerCertificate[];
  /** Why it is not trusted. */
  readonly refusal: string | undefined;
}

/** @returns Why there is none, as text. */
async function readChain({ gateway, transport }: FleetApp): Promise<Chain | string> {
  const { host, port, ca } = gateway;
  const { promise, resolve } = Promise.withResolvers<Chain | string>();
  const authorities =
    ca === undefined
      ? [...new Set([...getCACertificates('default'), ...getCACertificates('system')])]
      : readAuthorities(ca);
  const socket = connect({
    host,
    port,
    ca: authorities,
    // The verdict is told, and the connection goes nowhere.
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(transport === 'http2' ? { ALPNProtocols: ['h2'] } : {}),
  });
  const timer = setTimeout(() => resolve(`no answer within ${timeoutMs / 1_000} s`), timeoutMs);
  socket.on('secureConnect', () => {
    const chain: PeerCertificate[] = [];
    let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    while (
      next?.subject !== undefined &&
      !chain.some(({ fingerprint256 }) => fingerprint256 === next!.fingerprint256)
    ) {
      chain.push(next);
      next = next.issuerCertificate;
    }
    const error = socket.authorizationError as Error | string | undefined | null;
    const refusal = error instanceof Error ? error.message : (error ?? undefined);
    resolve(chain.length === 0 ? 'none came' : { chain, refusal: socket.authorized ? undefined : refusal });
  });
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  socket.on('close', () => resolve('the connection was closed'));
  const result = await promise;
  clearTimeout(timer);
  socket.destroy();
  return result;
}

function nameOf({ subject, valid_to }: PeerCertificate): string {
  const name = subject.CN ?? subject.O ?? 'without a name';
  return `"${String(name)}" (until ${new Date(valid_to).toISOString().slice(0, 10)})`;
}
