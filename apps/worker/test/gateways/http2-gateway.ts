import { once } from 'node:events';
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Gateway, GatewayIdentity } from './gateway.ts';
import type { Ledger } from './ledger.ts';
import type { VirtualTime } from './virtual-time.ts';
import { Wire } from './wire.ts';

// An HTTP/2 gateway that does what a row says; Node's own implementation.

interface PushRequest {
  /** Hexadecimal. */
  readonly token: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** 50 by default. */
  readonly delayMs?: number;
}

/**
 * `take`: 200, and it is delivered. `hang`: no answer. `hang-up`: the connection ends without GOAWAY. `go-away`: it is
 * taken and answered, and the connection takes no more. `malformed`: an answer without a status.
 */
export type RequestVerdict =
  | 'take'
  | 'hang'
  | 'take-and-hang'
  | 'hang-up'
  | 'take-and-hang-up'
  | 'take-and-go-away'
  | 'malformed'
  | { readonly resetStream: number }
  | Answer;

export interface Http2Script {
  /** Of a connection that has been made; false: it is broken at once. */
  readonly accepts?: (connection: Http2Peer) => boolean;
  /** What becomes of a request. By default it is taken. */
  readonly request?: (request: PushRequest, connection: Http2Peer) => RequestVerdict;
}

/** A connection, from the gateway's end. */
export class Http2Peer {
  /** From 1. */
  readonly number: number;
  readonly socket: TLSSocket;
  readonly wire: Wire;
  readonly #ledger: Ledger;
  /** Requests that came over it. */
  requests = 0;
  /** Requests that were taken and have no answer yet. */
  unanswered = 0;
  /** Nothing is taken or answered any more. */
  isOver = false;

  constructor(number: number, socket: TLSSocket, wire: Wire, ledger: Ledger) {
    this.number = number;
    this.socket = socket;
    this.wire = wire;
    this.#ledger = ledger;
  }

  hangUp(): void {
    this.ended();
    this.wire.hangUp();
  }

  /** Nothing is answered any more. */
  ended(): void {
    this.isOver = true;
    this.#ledger.unanswered += this.unanswered;
    this.unanswered = 0;
  }
}

const unknownDevice: Answer = { status: 400, body: '{"reason":"BadDeviceToken"}' };
/** How long an answer takes, milliseconds. */
const answerMs = 50;
/** Streams that a connection may have open. */
export const streamLimit = 100;

export async function openHttp2Gateway(
  identity: GatewayIdentity,
  ledger: Ledger,
  time: VirtualTime,
  script: Http2Script,
): Promise<Gateway> {
  const peers = new Map<Wire, Http2Peer>();
  const bySession = new Map<ServerHttp2Session, Http2Peer>();
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: streamLimit } });
  const server = createServer({
    ...identity.tls,
    requestCert: true,
    rejectUnauthorized: false,
    ca: identity.ca,
    ALPNProtocols: ['h2'],
  });
  server.on('connection', (socket: Socket) => time.traffic.accepted(socket));
  server.on('tlsClientError', () => time.touch());
  server.on('secureConnection', (socket) => {
    time.touch();
    const wire = new Wire(socket, time);
    const peer = new Http2Peer(++ledger.connections, socket, wire, ledger);
    wire.on('error', () => undefined);
    wire.on('close', () => {
      peer.ended();
      peers.delete(wire);
    });
    if (script.accepts?.(peer) === false) {
      socket.destroy();
      return;
    }
    peers.set(wire, peer);
    let isFirst = true;
    http2.once('session', (session) => {
      isFirst = false;
      bySession.set(session, peer);
      session.on('error', () => undefined);
      session.on('ping', () => time.touch());
      session.on('close', () => {
        time.touch();
        bySession.delete(session);
      });
    });
    http2.emit('connection', wire);
    if (isFirst) throw new Error('the session comes in the same turn');
  });
  http2.on('sessionError', () => time.touch());

  http2.on('stream', (stream: ServerHttp2Stream, headers) => {
    time.touch();
    const session = stream.session as ServerHttp2Session;
    const peer = bySession.get(session);
    stream.on('error', () => undefined);
    stream.resume();
    stream.on('end', () => {
      if (peer === undefined || peer.isOver || stream.destroyed) {
        if (peer?.isOver === true) ledger.discarded++;
        return;
      }
      ledger.call();
      peer.requests++;
      const token = String(headers[':path']).slice('/3/device/'.length);
      let verdict = script.request?.({ token, headers }, peer) ?? 'take';
      if (verdict === 'take' && !ledger.knows(token)) verdict = unknownDevice;
      const isTaken = typeof verdict === 'string' && verdict.startsWith('take');
      if (isTaken) ledger.deliver(token);
      if (verdict === 'take-and-hang') ledger.unanswered++;
      else if (isTaken) peer.unanswered++;
      if (verdict === 'hang' || verdict === 'take-and-hang') return;
      if (verdict === 'hang-up') {
        peer.hangUp();
        return;
      }
      if (verdict === 'take-and-go-away') {
        peer.isOver = true;
        session.goaway(0, stream.id);
      }
      if (verdict === 'take-and-hang-up') peer.isOver = true;
      const answer: Answer = typeof verdict === 'object' && 'status' in verdict ? verdict : { status: 200 };
      later(answer.delayMs ?? answerMs, () => {
        time.touch();
        if (stream.destroyed || stream.closed) return;
        if (isTaken && peer.unanswered > 0) {
          peer.unanswered--;
          if (peer.wire.returnIsDead) ledger.unanswered++;
        }
        if (typeof verdict === 'object' && 'resetStream' in verdict) {
          stream.close(verdict.resetStream);
          return;
        }
        if (verdict === 'malformed') {
          peer.wire.inject(malformedAnswer(stream.id!));
          return;
        }
        const { body = '' } = answer;
        stream.respond(
          { ':status': answer.status, 'apns-id': headers['apns-id'], ...answer.headers },
          { endStream: body === '' },
        );
        if (body !== '') stream.end(body);
        // Once the answers are there.
        if (verdict === 'take-and-hang-up') setTimeout(() => peer.hangUp(), 1);
        if (verdict === 'take-and-go-away') setTimeout(() => session.close(), 1);
      });
    });
  });
  // One timer for all that is due at the same time.
  const due = new Map<number, (() => void)[]>();
  const later = (ms: number, fire: () => void) => {
    const at = time.nowMs + ms;
    const already = due.get(at);
    if (already !== undefined) {
      already.push(fire);
      return;
    }
    const fires = [fire];
    due.set(at, fires);
    setTimeout(() => {
      due.delete(at);
      for (const each of fires) each();
    }, ms);
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  time.traffic.watch(port);
  const hangUp = () => {
    for (const peer of peers.values()) peer.hangUp();
  };
  return {
    port,
    hangUp,
    refuse: () => {
      server.close();
      hangUp();
    },
    listen: () => void server.listen(port, '127.0.0.1'),
    close: async () => {
      server.close();
      hangUp();
    },
  };
}

/** HEADERS with END_STREAM, whose one field is no `:status`: `accept-charset` of the static table, empty. */
function malformedAnswer(streamId: number): Uint8Array {
  const frame = Buffer.from([0, 0, 1, 1, 0x05, 0, 0, 0, 0, 0x80 | 15]);
  frame.writeUInt32BE(streamId, 5);
  return frame;
}
