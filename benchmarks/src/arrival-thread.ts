import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { parentPort } from 'node:worker_threads';
import { ErrorStatus, encodeErrorResponse, NotificationDecoder } from '@pushfleet/apns-wire';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { type ArrivalMessage, watchedPrefix } from './arrival-gateway.ts';

// The thread of arrival-gateway.ts.

const say = (message: ArrivalMessage): void => parentPort?.postMessage(message);
const authority = await TestAuthority.create();
const identity = await authority.issueServerCertificate();
const folder = await mkdtemp(join(tmpdir(), 'pushfleet-bench-'));
const caPath = join(folder, 'ca.pem');
await writeFile(caPath, authority.certificatePem);
const sockets = new Set<TLSSocket>();
let received = 0;

const server = createServer({ key: identity.privateKeyPem, cert: identity.certificatePem }, (socket) => {
  sockets.add(socket);
  const decoder = new NotificationDecoder();
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
  socket.on('data', (chunk: Buffer) => {
    if (socket.writableEnded) return;
    decoder.push(chunk);
    while (decoder.next()) {
      const { bytes, tokenStart, tokenLength, identifier, defect } = decoder;
      if (defect !== null) {
        // The known-bad frame that ends a connection with a proof.
        socket.end(encodeErrorResponse({ status: ErrorStatus.missingDeviceToken, identifier }));
        return;
      }
      received++;
      if (tokenLength >= 8 && wordAt(bytes, tokenStart) === watchedPrefix) {
        const atMs = performance.timeOrigin + performance.now();
        say({ kind: 'arrived', order: wordAt(bytes, tokenStart + 4), atMs });
      }
    }
  });
});
const counting = setInterval(() => say({ kind: 'received', count: received }), 10);
parentPort?.once('message', () => void close());
server.listen(0, '127.0.0.1', () => {
  say({ kind: 'listening', port: (server.address() as AddressInfo).port, caPath });
});

async function close(): Promise<void> {
  clearInterval(counting);
  for (const socket of sockets) socket.destroy();
  server.close();
  await rm(folder, { recursive: true, force: true });
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
