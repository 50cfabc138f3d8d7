import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Gateway, GatewayIdentity } from './gateway.ts';
import type { Ledger } from './ledger.ts';
import type { VirtualTime } from './virtual-time.ts';

// A binary gateway that does what a row says. It reads frames by itself: what it shares with the product could hide what
// is wrong with both.

interface Frame {
  /** 0: the command has none. */
  readonly identifier: number;
  /** Hexadecimal. */
  readonly token: string;
  readonly payloadBytes: number;
}

/**
 * `take`: it is delivered. `ignore`: nothing happens. `hang-up`: the connection ends without a word, and what comes after
 * the frame is discarded. A status: an error response, after `delayMs`.
 */
export type FrameVerdict =
  | 'take'
  | 'not-a-packet'
  | 'ignore'
  | 'hang-up'
  | 'take-and-hang-up'
  | { readonly status: number; readonly delayMs?: number; readonly identifier?: number };

export interface BinaryScript {
  /** Of a connection that has been made; false: it is reset at once. */
  readonly accepts?: (connection: BinaryPeer) => boolean;
  /** What becomes of a good frame. By default it is taken. */
  readonly frame?: (frame: Frame, connection: BinaryPeer) => FrameVerdict;
  /** What becomes of a frame without a token, by which senders ask for proof. By default status 2. */
  readonly knownBad?: (frame: Frame, connection: BinaryPeer) => FrameVerdict;
}

/** A connection, from the gateway's end. */
export class BinaryPeer {
  /** From 1. */
  readonly number: number;
  /** Frames that came over it. */
  frames = 0;
  /** Identifier of the last one taken. */
  lastTaken = 0;
  /** Whether frames are still looked at. */
  isOver = false;
  readonly socket: TLSSocket;

  constructor(number: number, socket: TLSSocket) {
    this.number = number;
    this.socket = socket;
  }

  /** The connection ends without a word, and what comes over it is discarded. */
  hangUp(): void {
    this.isOver = true;
    this.socket.end();
  }
}

const shutdownStatus = 10;

export async function openBinaryGateway(
  identity: GatewayIdentity,
  ledger: Ledger,
  time: VirtualTime,
  script: BinaryScript,
): Promise<Gateway> {
  const peers = new Set<BinaryPeer>();
  const server = createServer({
    ...identity.tls,
    requestCert: true,
    rejectUnauthorized: false,
    ca: identity.ca,
  });
  server.on('tlsClientError', () => time.touch());
  server.on('connection', (socket: Socket) => time.traffic.accepted(socket));
  server.on('secureConnection', (socket) => {
    time.touch();
    const peer = new BinaryPeer(++ledger.connections, socket);
    peers.add(peer);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      time.touch();
      peers.delete(peer);
    });
    if (script.accepts?.(peer) === false) {
      socket.destroy();
      return;
    }
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      time.touch();
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      let at = 0;
      for (;;) {
        const read = readFrame(pending, at);
        if (read === undefined) break;
        at = read.end;
        arrive(peer, read.frame, read.command);
      }
      pending = pending.subarray(at);
    });
  });

  const arrive = (peer: BinaryPeer, frame: Frame, command: number) => {
    if (peer.isOver) {
      ledger.discarded++;
      return;
    }
    const isKnownBad = frame.token === '';
    // Questions for proof are no calls.
    if (!isKnownBad) ledger.call();
    peer.frames++;
    const verdict = isKnownBad
      ? (script.knownBad?.(frame, peer) ?? { status: 2 })
      : (script.frame?.(frame, peer) ?? 'take');
    if (verdict === 'take' || verdict === 'take-and-hang-up') {
      ledger.deliver(frame.token);
      peer.lastTaken = frame.identifier;
      if (verdict === 'take') return;
    }
    if (verdict === 'ignore') return;
    if (verdict === 'hang-up' || verdict === 'take-and-hang-up') {
      peer.hangUp();
      return;
    }
    if (verdict === 'not-a-packet') {
      peer.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      peer.hangUp();
      return;
    }
    peer.isOver = true;
    const { status, delayMs = 0 } = verdict;
    const identifier = verdict.identifier ?? (status === shutdownStatus ? peer.lastTaken : frame.identifier);
    const answer = () => {
      time.touch();
      if (command !== 0) {
        const packet = Buffer.alloc(6);
        packet[0] = 8;
        packet[1] = status;
        packet.writeUInt32BE(identifier, 2);
        peer.socket.write(packet);
      }
      peer.hangUp();
    };
    if (delayMs === 0) answer();
    else setTimeout(answer, delayMs);
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  time.traffic.watch(port);
  return {
    port,
    hangUp: () => {
      for (const peer of peers) peer.hangUp();
    },
    refuse: () => {
      server.close();
      for (const peer of peers) peer.socket.destroy();
    },
    listen: () => void server.listen(port, '127.0.0.1'),
    close: async () => {
      for (const peer of peers) peer.socket.destroy();
      server.close();
    },
  };
}

/** The frame that begins there; undefined: not all of it is there. */
function readFrame(
  bytes: Buffer,
  at: number,
): { readonly frame: Frame; readonly command: number; readonly end: number } | undefined {
  if (at >= bytes.length) return undefined;
  const command = bytes[at]!;
  if (command === 2) {
    if (bytes.length < at + 5) return undefined;
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    if (bytes.length < end) return undefined;
    let identifier = 0;
    let token = '';
    let payloadBytes = 0;
    for (let item = at + 5; item + 3 <= end; ) {
      const length = bytes.readUInt16BE(item + 1);
      const value = item + 3;
      if (bytes[item] === 1) token = bytes.toString('hex', value, value + length);
      if (bytes[item] === 2) payloadBytes = length;
      if (bytes[item] === 3) identifier = bytes.readUInt32BE(value);
      item = value + length;
    }
    return { frame: { identifier, token, payloadBytes }, command, end };
  }
  const start = at + (command === 1 ? 9 : 1);
  if (bytes.length < start + 2) return undefined;
  const identifier = command === 1 ? bytes.readUInt32BE(at + 1) : 0;
  const tokenBytes = bytes.readUInt16BE(start);
  const payloadAt = start + 2 + tokenBytes;
  if (bytes.length < payloadAt + 2) return undefined;
  const payloadBytes = bytes.readUInt16BE(payloadAt);
  const end = payloadAt + 2 + payloadBytes;
  if (bytes.length < end) return undefined;
  return {
    frame: { identifier, token: bytes.toString('hex', start + 2, start + 2 + tokenBytes), payloadBytes },
    command,
    end,
  };
}
