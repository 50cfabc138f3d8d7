import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { encodeErrorResponse } from '@pushfleet/apns-wire';
import { encodeGoAway } from '@pushfleet/apns-wire/http2';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { afterAll, expect, vi } from 'vitest';
import { createContext } from '../src/socket/credential.ts';
import { openGatewaySocket } from '../src/socket/gateway-socket.ts';
import { stopGateway, test } from './gateway-test.ts';

afterAll(stopGateway);

// Other kernels forget what has come in before a reset.
const testOnLinux = test.skipIf(process.platform !== 'linux');

interface AbruptGateway {
  readonly port: number;
  readonly ca: string;
  /** The first bytes have come in. */
  readonly received: Promise<unknown>;
  /** Stands still while the answer and the reset come in. */
  standStill(): void;
  close(): Promise<unknown>;
}

async function openAbruptGateway(answer: Uint8Array, protocol?: string): Promise<AbruptGateway> {
  const { server, authority } = await createTestCertificates();
  const steps = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(new URL('./fixtures/abrupt-gateway.ts', import.meta.url), {
    workerData: { cert: server.certificatePem, key: server.privateKeyPem, steps, answer, protocol },
  });
  const [address] = (await once(thread, 'message')) as [AddressInfo];
  return {
    port: address.port,
    ca: authority.certificatePem,
    received: once(thread, 'message'),
    standStill() {
      Atomics.store(steps, 0, 1);
      Atomics.notify(steps, 0);
      Atomics.wait(steps, 0, 1, 10_000);
      expect(steps[0]).toBe(2);
      Atomics.wait(steps, 0, 2, 200);
    },
    close: async () => thread.terminate(),
  };
}

testOnLinux(
  'an error response that lies behind a write that fails is read all the same',
  async ({ gateway }) => {
    const abrupt = await openAbruptGateway(encodeErrorResponse({ status: 8, identifier: 4 }));
    const { port, ca } = abrupt;
    const { transport, observed, submit } = gateway.open({ port, ca, confirmAfterMs: 60_000 });
    const first = submit({ count: 10, seed: 1 });
    await abrupt.received;
    abrupt.standStill();
    // What this thread does next is to write.
    submit({ count: 10, seed: 2 });

    await expect.poll(() => observed.ends.length).toBeGreaterThan(0);
    expect(observed.ends[0]).toBe('error-response');
    expect(first.positions('accepted')).toEqual([0, 1, 2]);
    expect(first.positions('rejected')).toEqual([3]);
    expect(first.positions('uncertain')).toEqual([]);
    transport.destroy();
    await abrupt.close();
  },
);

testOnLinux('so is what an HTTP/2 gateway said', async () => {
  const answer = encodeGoAway(1, 0);
  const abrupt = await openAbruptGateway(answer, 'h2');
  const happened: string[] = [];
  const received: Buffer[] = [];
  const socket = openGatewaySocket(
    {
      host: 'localhost',
      port: abrupt.port,
      serverName: 'localhost',
      secureContext: createContext(undefined, abrupt.ca),
      protocol: 'h2',
      keepAliveMs: 60_000,
    },
    {
      opened: () => happened.push('opened'),
      received: (bytes) => received.push(bytes),
      writeFailed: () => happened.push('writeFailed'),
      ended: () => happened.push('over'),
      failed: () => happened.push('over'),
    },
  );
  await vi.waitFor(() => expect(happened).toEqual(['opened']), 20_000);
  socket.control(Buffer.from('first'));
  await abrupt.received;
  abrupt.standStill();
  socket.control(Buffer.from('second'));

  await vi.waitFor(() => expect(happened).toEqual(['opened', 'writeFailed', 'over']), 20_000);
  expect(Buffer.concat(received)).toEqual(answer);
  await abrupt.close();
});
