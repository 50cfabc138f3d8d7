import { once } from 'node:events';
import {
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TestIdentity } from '@pushfleet/testkit/certificates';

export interface GatewayRequest {
  /** Of its session, from 1. */
  readonly session: number;
  readonly streamId: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface NodeGatewayOptions {
  readonly settings?: Settings;
  /** Answers a complete request; by default 200. */
  readonly answer?: (stream: ServerHttp2Stream, request: GatewayRequest) => void;
  readonly onSession?: (session: ServerHttp2Session, number: number) => void;
}

export interface NodeGateway {
  readonly port: number;
  readonly requests: GatewayRequest[];
  readonly sessions: ServerHttp2Session[];
  close(): Promise<void>;
}

/** node:http2 as a gateway: what it accepts is HTTP/2. */
export async function openNodeGateway(
  identity: TestIdentity,
  ca: string,
  options: NodeGatewayOptions = {},
): Promise<NodeGateway> {
  const server = createSecureServer({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  });
  const requests: GatewayRequest[] = [];
  const sessions: ServerHttp2Session[] = [];
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.on('sessionError', () => undefined);
  server.on('session', (session) => {
    sessions.push(session);
    options.onSession?.(session, sessions.length);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const request = {
        session: sessions.indexOf(stream.session as ServerHttp2Session) + 1,
        streamId: stream.id ?? 0,
        headers,
        body: Buffer.concat(chunks).toString(),
      };
      requests.push(request);
      if (options.answer === undefined) accept(stream, request);
      else options.answer(stream, request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    sessions,
    close: async () => {
      // Node's server does not always tell that it is closed when a session died in the middle of streams; it stops
      // listening at once.
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** 200, as APNs says it. */
export function accept(stream: ServerHttp2Stream, { headers }: GatewayRequest): void {
  stream.respond({ ':status': 200, 'apns-id': headers['apns-id'] }, { endStream: true });
}

/** Any other answer, as APNs says it. */
export function refuse(
  stream: ServerHttp2Stream,
  status: number,
  body: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): void {
  stream.respond({ ':status': status, ...headers });
  stream.end(JSON.stringify(body));
}
