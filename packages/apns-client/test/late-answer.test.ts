import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { afterAll, expect } from 'vitest';
import { stopGateway, test } from './gateway-test.ts';

afterAll(stopGateway);

// Other kernels forget what has come in before a reset.
test.skipIf(process.platform !== 'linux')(
  'an error response that lies behind a write that fails is read all the same',
  async ({ gateway }) => {
    const { server, authority } = await createTestCertificates();
    const steps = new Int32Array(new SharedArrayBuffer(4));
    const abrupt = new Worker(new URL('./fixtures/abrupt-gateway.ts', import.meta.url), {
      workerData: { cert: server.certificatePem, key: server.privateKeyPem, steps, identifier: 4 },
    });
    const [address] = (await once(abrupt, 'message')) as [AddressInfo];
    const { transport, observed, submit } = gateway.open({
      port: address.port,
      ca: authority.certificatePem,
      confirmAfterMs: 60_000,
    });
    const received = once(abrupt, 'message');
    const first = submit({ count: 10, seed: 1 });
    await received;

    // While this thread stands still, the error response and the reset come in. What it does next is to write.
    Atomics.store(steps, 0, 1);
    Atomics.notify(steps, 0);
    Atomics.wait(steps, 0, 1, 10_000);
    expect(steps[0]).toBe(2);
    Atomics.wait(steps, 0, 2, 200);
    submit({ count: 10, seed: 2 });

    await expect.poll(() => observed.ends.length).toBeGreaterThan(0);
    expect(observed.ends[0]).toBe('error-response');
    expect(first.positions('accepted')).toEqual([0, 1, 2]);
    expect(first.positions('rejected')).toEqual([3]);
    expect(first.positions('uncertain')).toEqual([]);
    transport.destroy();
    await abrupt.terminate();
  },
);
