import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import {
  connectionPreface,
  encodePing,
  encodeSettings,
  encodeSettingsAck,
  encodeWindowUpdate,
  FrameFlag,
  FrameType,
  Http2FrameReader,
  SettingId,
  writeFrameHeader,
} from '@pushfleet/apns-wire/http2';
import { TestAuthority } from '@pushfleet/testkit/certificates';

// An HTTP/2 gateway that answers every request with 200 as soon as it has ended, and reads nothing of it: as fast as one
// process goes, so that it is not what a fleet waits for. Streams and windows are as APNs is taken to have them.

const streams = 1_000;
const window = 65_535;
/** `:status: 200` is an entry of HPACK's static table. */
const status200 = 0x88;
const answerLength = 10;

const authority = await TestAuthority.create();
const identity = await authority.issueServerCertificate();
const folder = await mkdtemp(join(tmpdir(), 'pushfleet-bench-'));
const ca = join(folder, 'ca.pem');
await writeFile(ca, authority.certificatePem);
const sockets = new Set<TLSSocket>();

const server = createServer(
  { key: identity.privateKeyPem, cert: identity.certificatePem, ALPNProtocols: ['h2'] },
  (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.write(
      encodeSettings([
        [SettingId.maxConcurrentStreams, streams],
        [SettingId.initialWindowSize, window],
      ]),
    );
    serve(socket);
  },
);

function serve(socket: TLSSocket): void {
  const reader = new Http2FrameReader({ maxIdleFrames: Number.MAX_SAFE_INTEGER });
  let prefaceLeft = connectionPreface.length;
  let unacknowledged = 0;
  socket.on('data', (chunk: Buffer) => {
    const skipped = Math.min(prefaceLeft, chunk.length);
    prefaceLeft -= skipped;
    reader.push(chunk.subarray(skipped));
    const ended: number[] = [];
    const others: Buffer[] = [];
    while (reader.next()) {
      const isAck = (reader.flags & FrameFlag.ack) !== 0;
      if (reader.type === FrameType.settings && !isAck) others.push(encodeSettingsAck());
      if (reader.type === FrameType.ping && !isAck) {
        others.push(encodePing(reader.bytes.subarray(reader.start, reader.end), 'ack'));
      }
      if (reader.type !== FrameType.data && reader.type !== FrameType.headers) continue;
      if (reader.type === FrameType.data) unacknowledged += reader.flowLength;
      if (reader.hasEndStream) ended.push(reader.streamId);
    }
    if (unacknowledged >= window / 2) {
      others.push(encodeWindowUpdate(0, unacknowledged));
      unacknowledged = 0;
    }
    if (ended.length > 0) others.push(answers(ended));
    if (others.length > 0) socket.write(others.length === 1 ? others[0]! : Buffer.concat(others));
  });
}

function answers(ended: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(ended.length * answerLength);
  let at = 0;
  for (const streamId of ended) {
    at = writeFrameHeader(
      bytes,
      at,
      1,
      FrameType.headers,
      FrameFlag.endHeaders | FrameFlag.endStream,
      streamId,
    );
    bytes[at++] = status200;
  }
  return bytes;
}

process.once('SIGTERM', () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  void rm(folder, { recursive: true, force: true });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ ready: true, port, ca })}\n`);
});
