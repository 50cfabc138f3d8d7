import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestIdentity } from '@pushfleet/testkit/certificates';

// Servers whose refusals quote everything that they were told.

export interface QuotingProxy {
  readonly port: number;
  /** From now on whatever is asked is refused, in words that quote it; false: passed on again. */
  quote(is: boolean): void;
  close(): Promise<void>;
}

/** What a server says to bytes of a client; undefined: it waits for more. */
type Refuse = (bytes: Buffer, isFirst: boolean) => Buffer | undefined;

async function openQuotingProxy(
  target: { host: string; port: number },
  refuse: Refuse,
): Promise<QuotingProxy> {
  let quoting = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let isFirst = true;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (!quoting) upstream.write(bytes);
      else {
        const words = refuse(bytes, isFirst);
        if (words !== undefined) client.write(words);
      }
      isFirst = false;
    });
    upstream.on('data', (bytes) => {
      if (!quoting) client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    quote(is) {
      quoting = is;
      // What was under way is in no known state.
      if (!is) for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** As a Redis that knows no command. */
export async function openQuotingRedis(url: string): Promise<QuotingProxy> {
  const { hostname, port } = new URL(url);
  return openQuotingProxy({ host: hostname, port: Number(port) }, (bytes) => {
    const text = bytes.toString('latin1');
    const count = text.match(/\*\d+\r\n\$/g)?.length ?? 1;
    const quoted = text.replace(/[\r\n]+/g, "' '");
    const words = `-ERR unknown command 'X', with args beginning with: '${quoted}' \r\n`;
    return Buffer.from(words.repeat(count), 'latin1');
  });
}

/** As a Postgres that takes no data, no key twice, and nobody in. */
export async function openQuotingPostgres(url: string): Promise<QuotingProxy> {
  const { hostname, port } = new URL(url);
  const states = ['22P02', '23505', '42501', '57014', '53200', '22021'];
  let asked = 0;
  return openQuotingProxy({ host: hostname, port: Number(port) }, (bytes, isFirst) => {
    const quoted = bytes.toString('latin1').replaceAll('\0', ' ');
    const state = isFirst ? '28P01' : states[asked++ % states.length]!;
    const message = isFirst
      ? 'password authentication failed for user "pushfleet"'
      : state.startsWith('22')
        ? `invalid input syntax for type json: "${quoted}"`
        : 'duplicate key value violates unique constraint "devices_pkey"';
    const fields = {
      S: 'ERROR',
      V: 'ERROR',
      C: state,
      M: message,
      D: `Key (token)=(${quoted}) already exists.`,
    };
    const more = { H: quoted, W: `COPY devices, line 1: "${quoted}"`, q: quoted };
    const body = Object.entries({ ...fields, ...more })
      .map(([name, text]) => `${name}${text}\0`)
      .join('');
    return Buffer.concat([framed('E', `${body}\0`), framed('Z', 'I')]);
  });
}

function framed(type: string, text: string): Buffer {
  const body = Buffer.from(text, 'latin1');
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export interface HostileGateway {
  readonly port: number;
  /** Provider tokens that it was sent. */
  readonly providerTokens: ReadonlySet<string>;
  /** Whether it has given each of its answers. */
  readonly isThrough: boolean;
  close(): Promise<void>;
}

/** As an APNs that answers each request with another refusal, all of which quote it. */
export async function openHostileGateway(identity: TestIdentity): Promise<HostileGateway> {
  const providerTokens = new Set<string>();
  let asked = 0;
  const answers: readonly ((stream: ServerHttp2Stream, quoted: string) => void)[] = [
    (stream, quoted) => respond(stream, 400, JSON.stringify({ reason: quoted })),
    (stream, quoted) => respond(stream, 400, JSON.stringify({ reason: 'BadDeviceToken', more: quoted })),
    (stream, quoted) => respond(stream, 500, quoted),
    (stream, quoted) => respond(stream, 404, `<html>${quoted}</html>`),
    (stream, quoted) =>
      respond(stream, 410, JSON.stringify({ reason: quoted.slice(0, 64), timestamp: quoted })),
    (stream) => stream.close(2),
    (stream, quoted) => stream.session?.goaway(7, 0, Buffer.from(quoted)),
    (stream, quoted) => {
      // What follows is no HTTP/2.
      const { socket } = stream.session as unknown as { socket: Socket };
      socket.destroy();
      void quoted;
    },
    (stream, quoted) =>
      respond(stream, 403, JSON.stringify({ reason: 'InvalidProviderToken', more: quoted })),
  ];
  const server = createSecureServer({ cert: identity.certificatePem, key: identity.privateKeyPem });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream, headers) => {
    const authorization = String(headers.authorization ?? '');
    providerTokens.add(authorization.replace(/^bearer /, ''));
    stream.on('error', () => undefined);
    let body = '';
    stream.on('data', (bytes: Buffer) => {
      body += bytes.toString();
    });
    stream.on('end', () => {
      answers[asked++ % answers.length]!(stream, `${authorization} ${headers[':path']} ${body}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    providerTokens,
    get isThrough() {
      return asked >= answers.length;
    },
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function respond(stream: ServerHttp2Stream, status: number, body: string): void {
  stream.respond({ ':status': status, 'apns-id': body.slice(0, 200).replace(/[^\w .-]/g, '') });
  stream.end(body);
}
