import { randomUUID } from 'node:crypto';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { FaultBook } from '../faults/fault-book.ts';
import { ContentKey } from '../ledger/content-key.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { NotificationLog } from '../ledger/notification-log.ts';
import { type GatewayEnvironment, readClientCertificate } from '../tls/client-certificate.ts';
import { GatewayPort } from '../tls/gateway-port.ts';
import type { ServerIdentity } from '../tls/tls-directory.ts';

export interface Http2GatewayOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly environment: GatewayEnvironment;
  readonly faults: FaultBook;
  readonly ledger: Ledger;
  readonly log: NotificationLog;
}

/** Opens the HTTP/2 gateway (PROTOCOL section 4): takes what is sent to it. */
export async function openHttp2Gateway(options: Http2GatewayOptions): Promise<GatewayPort> {
  const { identity, ledger } = options;
  const server = createSecureServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca: identity.caPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  });
  const port = await GatewayPort.open({
    name: 'http2',
    host: options.host,
    port: options.port,
    faults: options.faults,
    onSocket: (socket) => server.emit('connection', socket),
  });
  const content = new ContentKey();
  server.on('sessionError', () => undefined);
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const app = readClientCertificate(stream.session?.socket as TLSSocket)?.topic ?? '';
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const [, token = ''] = /^\/3\/device\/([0-9a-f]+)$/i.exec(headers[':path'] ?? '') ?? [];
      const bytes = Buffer.concat([Buffer.from(token, 'hex'), ...chunks]);
      content.read(bytes, 0, token.length / 2, token.length / 2, bytes.length - token.length / 2);
      ledger.app(app).take(content.low, content.high);
      stream.respond({ ':status': 200, 'apns-id': headers['apns-id'] ?? randomUUID() }, { endStream: true });
    });
  });
  return port;
}
