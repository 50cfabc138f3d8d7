import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describeError } from '@pushfleet/apns-client';
import { type Endpoint, readAuthorities, trustSystemAuthorities } from '@pushfleet/service-kit';
import type { CheckReport } from './check-report.ts';
import { codeOf, explainTlsError, isRefusalOfCertificate } from './explain-tls-error.ts';

/** For each step of a connection, milliseconds. */
const stepTimeoutMs = 10_000;

export interface ConnectionNeeds {
  /** What the steps are called by: `gateway`, `feedback service`. */
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Our certificate; absent: none is shown. */
  readonly identity?: { readonly cert: string; readonly key: string } | undefined;
  readonly alpn?: readonly string[];
}

/**
 * Connects and shakes hands, step by step, reporting each. Nothing is sent.
 * @returns The connection, with the far end verified; undefined when a step has failed.
 */
export async function openConnection(
  report: CheckReport,
  needs: ConnectionNeeds,
): Promise<TLSSocket | undefined> {
  const { name, endpoint } = needs;
  const { host, port } = endpoint;
  trustSystemAuthorities();
  let ca: string | undefined;
  try {
    ca = endpoint.ca === undefined ? undefined : readAuthorities(endpoint.ca);
  } catch (error) {
    report.failed(
      `${name}: authorities`,
      describeError(error),
      'ca names the PEM file of the authorities to trust',
    );
    return undefined;
  }
  const socket = connectTcp({ host, port, noDelay: true });
  try {
    await withDeadline(socket, once(socket, 'connect'));
  } catch (error) {
    socket.destroy();
    report.failed(`${name}: connection to ${host}:${port}`, describeError(error), explainTlsError(error));
    return undefined;
  }
  report.ok(`${name}: connection to ${host}:${port}`, `open, to ${socket.remoteAddress}`);
  return shakeHands(report, needs, socket, ca);
}

async function shakeHands(
  report: CheckReport,
  { name, endpoint: { host }, identity, alpn }: ConnectionNeeds,
  socket: Socket,
  ca: string | undefined,
): Promise<TLSSocket | undefined> {
  const tls = connectTls({
    socket,
    servername: isIP(host) === 0 ? host : '',
    host,
    minVersion: 'TLSv1.2',
    // Judged below, so that an answer can be given that says more.
    rejectUnauthorized: false,
    ...(ca === undefined ? {} : { ca }),
    ...identity,
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  });
  // Errors that come later are for whoever waits then.
  tls.on('error', () => undefined);
  try {
    await withDeadline(tls, once(tls, 'secureConnect'));
  } catch (error) {
    tls.destroy();
    const step = `${name}: TLS handshake`;
    if (identity === undefined && isRefusalOfCertificate(codeOf(error) ?? '')) {
      report.ok(step, 'it wants a certificate, and was shown none');
      return undefined;
    }
    report.failed(step, describeError(error), explainTlsError(error));
    return undefined;
  }
  const certificate = tls.getPeerX509Certificate();
  const about = `${oneLine(certificate?.subject)}, issued by ${oneLine(certificate?.issuer)}`;
  if (!tls.authorized) {
    const error = tls.authorizationError as unknown;
    const code = typeof error === 'string' ? error : codeOf(error);
    report.failed(
      `${name}: its certificate`,
      `${code ?? String(error)}: ${about}`,
      explainTlsError(Object.assign(new Error(), { code })),
    );
    tls.destroy();
    return undefined;
  }
  report.ok(
    `${name}: its certificate`,
    `trusted: ${about}, valid until ${certificate?.validToDate.toISOString()}; ${chainOf(certificate)}`,
  );
  report.ok(`${name}: TLS handshake`, `${tls.getProtocol() ?? '?'}, ${tls.getCipher().standardName}`);
  return tls;
}

/** The chain as it was shown, or completed from the authorities, up to its root. */
function chainOf(certificate: X509Certificate | undefined): string {
  const names: string[] = [];
  for (let each = certificate; each !== undefined; each = each.issuerCertificate) {
    names.push(/^CN=(.*)$/m.exec(each.subject)?.[1] ?? oneLine(each.subject));
    if (each.subject === each.issuer) break;
  }
  return `chain: ${names.join(' ← ')}`;
}

/** Distinguished names come in lines. */
function oneLine(name: string | undefined): string {
  return (name ?? 'nobody').split('\n').join(', ');
}

/** Gives up, with the error ETIMEDOUT, when the socket does not get on. */
async function withDeadline<T>(socket: Socket, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => {
    const error = new Error(`no answer within ${stepTimeoutMs / 1_000} seconds`);
    socket.destroy(Object.assign(error, { code: 'ETIMEDOUT' }));
  }, stepTimeoutMs);
  const closed = once(socket, 'close').then(() => {
    throw Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' });
  });
  closed.catch(() => undefined);
  try {
    return await Promise.race([work, closed]);
  } finally {
    clearTimeout(timer);
  }
}
