import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { sharedLookup } from './shared-lookup.ts';

/** An HTTP proxy that makes tunnels (RFC 9110 section 9.3.6). */
export interface ProxyOptions {
  readonly host: string;
  readonly port: number;
  /** The whole value of `proxy-authorization`, such as `Basic …`. */
  readonly authorization?: string;
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Name or address that the gateway's certificate must carry. */
  readonly serverName: string;
  readonly secureContext: SecureContext;
  readonly proxy?: ProxyOptions | undefined;
  /** What the far end has to speak. Absent: it is not asked. */
  readonly protocol?: 'h2' | undefined;
  /** TCP keepalive: first probe after so much silence, milliseconds. */
  readonly keepAliveMs: number;
}

export interface DialEvents {
  /** TLS is up, the far end verified, and it speaks the protocol. */
  opened(socket: TLSSocket): void;
  failed(error: unknown): void;
}

/** The gateway, or the proxy on the way to it, does not do what we need. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly code: 'proxy-refused' | 'http2-not-spoken';

  constructor(code: 'proxy-refused' | 'http2-not-spoken', message: string) {
    super(message);
    this.code = code;
  }
}

/** What every TLS connection of this package asks of the far end: its certificate is for that name or address. */
export function verifying(
  serverName: string,
): Pick<ConnectionOptions, 'servername' | 'checkServerIdentity' | 'minVersion' | 'rejectUnauthorized'> {
  return {
    // An address is no name for SNI (RFC 6066 section 3), and is verified all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  };
}

/**
 * Connects, through the proxy if there is one. Exactly one event comes, unless it is cancelled before.
 * @param session A TLS session with the far end to take up, where there is one.
 */
export function dial(
  options: DialOptions,
  session: Buffer | undefined,
  events: DialEvents,
): { cancel(): void } {
  let socket: Socket;
  let isOver = false;
  const fail = (error: unknown): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    events.failed(error);
  };
  const secure = (through: Socket | undefined): void => {
    const { host, port, serverName, secureContext, protocol } = options;
    const tls = connectTls({
      ...(through === undefined ? { host, port, lookup: sharedLookup } : { socket: through }),
      ...verifying(serverName),
      ...(session === undefined ? {} : { session }),
      ...(protocol === undefined ? {} : { ALPNProtocols: [protocol] }),
      secureContext,
    });
    socket = tls;
    const closed = (): void => fail(new Error('The connection was closed during the handshake'));
    tls.once('error', fail);
    tls.once('close', closed);
    tls.once('secureConnect', () => {
      tls.off('error', fail);
      tls.off('close', closed);
      if (isOver) return;
      if (protocol === 'h2' && tls.alpnProtocol !== 'h2') {
        fail(new TunnelError('http2-not-spoken', 'The gateway does not speak HTTP/2 (ALPN h2)'));
        return;
      }
      isOver = true;
      tls.setNoDelay(true);
      tls.setKeepAlive(true, options.keepAliveMs);
      events.opened(tls);
    });
  };
  if (options.proxy === undefined) secure(undefined);
  else socket = openTunnel(options, options.proxy, { opened: secure, failed: fail });
  return {
    cancel() {
      isOver = true;
      socket.on('error', () => undefined);
      socket.destroy();
    },
  };
}

/** More than any proxy says before the tunnel is open. */
const longestProxyAnswer = 16_384;

function openTunnel(
  { host, port }: DialOptions,
  proxy: ProxyOptions,
  events: { opened(tcp: Socket): void; failed(error: unknown): void },
): Socket {
  const tcp = connectTcp({ host: proxy.host, port: proxy.port, lookup: sharedLookup });
  const authority = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  let answer = '';
  const closed = (): void => refuse('closed the connection');
  const refuse = (what: string): void => {
    stop();
    events.failed(new TunnelError('proxy-refused', `The proxy ${proxy.host}:${proxy.port} ${what}`));
  };
  const broken = (error: unknown): void => {
    stop();
    events.failed(error);
  };
  const read = (chunk: Buffer): void => {
    answer += chunk.toString('latin1');
    const end = answer.indexOf('\r\n\r\n');
    if (end < 0) {
      if (answer.length > longestProxyAnswer) refuse('answered too much');
      return;
    }
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1];
    if (status === undefined) refuse('answered something that is not HTTP');
    else if (!status.startsWith('2')) refuse(`answered ${status} to CONNECT`);
    else {
      stop();
      // The gateway is silent until it has been greeted: nothing can have come behind the answer.
      events.opened(tcp);
    }
  };
  const stop = (): void => {
    tcp.off('data', read);
    tcp.off('close', closed);
    tcp.off('error', broken);
  };
  tcp.on('data', read);
  tcp.on('close', closed);
  tcp.on('error', broken);
  tcp.once('connect', () => {
    const credential =
      proxy.authorization === undefined ? '' : `proxy-authorization: ${proxy.authorization}\r\n`;
    tcp.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${credential}\r\n`);
  });
  return tcp;
}
