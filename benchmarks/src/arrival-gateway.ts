import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { ErrorStatus, encodeErrorResponse, NotificationDecoder } from '@pushfleet/apns-wire';
import { TestAuthority } from '@pushfleet/testkit/certificates';

/** Tokens that begin with these bytes are watched; the next four bytes number them. */
const watchedPrefix = 0xffff_ffff;

/** A watched token, hexadecimal. */
export function watchedToken(order: number): string {
  return `${watchedPrefix.toString(16)}${order.toString(16).padStart(8, '0')}${'00'.repeat(24)}`;
}

export interface ArrivalGateway {
  readonly port: number;
  /** Path of the authority's certificate. */
  readonly caPath: string;
  /** All notifications so far. */
  readonly received: number;
  /** `performance.now()` at which the watched notification came in; undefined while it has not. */
  arrivedMs(order: number): number | undefined;
  close(): Promise<void>;
}

/**
 * A binary gateway in this process that notes when watched notifications come in, by the clock that the sender's
 * times are taken from.
 */
export async function openArrivalGateway(): Promise<ArrivalGateway> {
  const authority = await TestAuthority.create();
  const identity = await authority.issueServerCertificate();
  const folder = await mkdtemp(join(tmpdir(), 'pushfleet-bench-'));
  const caPath = join(folder, 'ca.pem');
  await writeFile(caPath, authority.certificatePem);
  const arrivals = new Map<number, number>();
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
          arrivals.set(wordAt(bytes, tokenStart + 4), performance.now());
        }
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    caPath,
    get received() {
      return received;
    },
    arrivedMs: (order) => arrivals.get(order),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
