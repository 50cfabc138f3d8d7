import { type CutMode, type FaultProxy, openFaultProxy, type Toxic } from '@pushfleet/testkit';
import { afterAll, describe, expect } from 'vitest';
import type { BinaryTransportOptions } from '../src/index.ts';
import { deliver, expectIdentity } from './delivery.ts';
import { type Gateway, stopGateway, test as withGateway } from './gateway-test.ts';

// What networks do, by a proxy between transport and simulator, against the same identity.

afterAll(stopGateway);

const test = withGateway.extend<{ proxy: FaultProxy }>({
  proxy: async ({ gateway }, use) => {
    const proxy = await openFaultProxy({ target: { port: gateway.binaryPort } });
    await use(proxy);
    await proxy.close();
  },
});

const proved: Partial<BinaryTransportOptions> = {
  confirm: 'proved',
  confirmAfterMs: 20,
  rotationFloorMs: 20,
  errorGraceMs: 200,
};

function open(gateway: Gateway, proxy: FaultProxy, options: Partial<BinaryTransportOptions> = {}) {
  return gateway.open({ port: proxy.port, ...proved, ...options });
}

const rejectSome = { on: 'binary', times: 4, match: { everyNth: 250 }, action: { kind: 'reject' } };

describe('a connection that is cut', () => {
  // A simulator that has been left in the handshake, without a reset, waits long for the rest of it.
  const cases = [
    ...[1, 600, 2_200].map((limit) => ({ limit, how: 'reset' as const })),
    ...[5_000, 40_000, 100_001, 150_000].flatMap((limit) =>
      (['close', 'reset'] as const).map((how) => ({ limit, how })),
    ),
  ];

  test.for(cases)(
    'loses nothing after $limit bytes written, by $how',
    async ({ limit, how }, { gateway, proxy }) => {
      const opened = open(gateway, proxy);
      proxy.add('upstream', { type: 'limit_data', bytes: limit, how });
      opened.observed.onClosed = () => proxy.clear();
      const delivery = await deliver(opened, { count: 2_000 });
      await expectIdentity(gateway, delivery);
      expect(delivery).toMatchObject({ accepted: 2_000, rejected: 0 });
      expect(opened.observed.ends[0]).not.toBe('rotated');
    },
  );

  // A TLS record of an error response: 5 bytes of header, the packet's 6, the type, a tag of 16.
  const record = 5 + 6 + 1 + 16;
  const places = [1, 6, record - 1, record, record + 1].flatMap((extra) =>
    (['close', 'reset'] as const).map((how) => [extra, how] as [number, CutMode]),
  );
  test.for(places)(
    'loses nothing %d bytes into the error response, by %s',
    async ([extra, how], { gateway, proxy }) => {
      const opened = open(gateway, proxy, { confirmAfterMs: 60_000 });
      opened.submit({ count: 1, seed: 99 });
      await expect.poll(async () => gateway.control.ledger()).toMatchObject({ received: 1 });
      await gateway.setFaults({
        on: 'binary',
        times: 1,
        match: { everyNth: 500 },
        action: { kind: 'reject' },
      });
      const [connection] = proxy.connections;
      proxy.add('downstream', {
        type: 'limit_data',
        bytes: connection!.forwarded('downstream') + extra,
        how,
      });
      opened.observed.onClosed = () => proxy.clear();
      const run = opened.submit({ count: 1_000 });
      await expect.poll(() => opened.observed.ends.length).toBe(1);
      await opened.transport.drain(10_000);
      // The packet is all there, or it says nothing.
      const isUnderstood = extra >= record && opened.observed.ends[0] === 'error-response';
      if (how === 'close') expect(isUnderstood).toBe(extra >= record);
      expect(run.positions('rejected')).toEqual(isUnderstood ? [499] : []);
      expect(run.positions('uncertain')).toHaveLength(isUnderstood ? 0 : 1_000);
      expect(run.positions('accepted')).toHaveLength(isUnderstood ? 999 : 0);
    },
  );
});

describe('a network that', () => {
  const cases: { does: string; toxics: ['upstream' | 'downstream', Toxic][]; count?: number }[] = [
    {
      does: 'is slow both ways',
      toxics: [
        ['upstream', { type: 'latency', latencyMs: 25, jitterMs: 10 }],
        ['downstream', { type: 'latency', latencyMs: 25, jitterMs: 10 }],
      ],
    },
    {
      does: 'passes single bytes to the gateway',
      toxics: [['upstream', { type: 'slicer', averageSize: 1 }]],
      count: 300,
    },
    {
      does: 'passes single bytes back',
      toxics: [['downstream', { type: 'slicer', averageSize: 1 }]],
    },
    { does: 'is narrow', toxics: [['upstream', { type: 'bandwidth', bytesPerSecond: 1_000_000 }]] },
    { does: 'closes slowly', toxics: [['downstream', { type: 'slow_close', delayMs: 100 }]] },
  ];
  test.for(cases)('$does costs nothing but time', async ({ toxics, count = 1_500 }, { gateway, proxy }) => {
    for (const [direction, toxic] of toxics) proxy.add(direction, toxic);
    await gateway.setFaults(rejectSome);
    const opened = open(gateway, proxy);
    const delivery = await deliver(opened, { count });
    await expectIdentity(gateway, delivery);
    const rejected = Math.min(4, Math.floor(count / 250));
    expect(delivery).toMatchObject({ accepted: count - rejected, rejected, uncertain: 0, unprocessed: 0 });
  });

  const holes: { does: string; direction: 'upstream' | 'downstream'; toxic: Toxic }[] = [
    { does: 'swallows what we write', direction: 'upstream', toxic: { type: 'timeout', timeoutMs: 0 } },
    {
      does: 'swallows what the gateway answers',
      direction: 'downstream',
      toxic: { type: 'timeout', timeoutMs: 0 },
    },
  ];
  test.for(holes)(
    '$does leaves what was written in doubt',
    async ({ direction, toxic }, { gateway, proxy }) => {
      const opened = open(gateway, proxy, { proofTimeoutMs: 150, confirmAfterMs: 60 });
      opened.submit({ count: 1, seed: 99 });
      await expect.poll(async () => gateway.control.ledger()).toMatchObject({ received: 1 });
      proxy.add(direction, toxic);
      opened.observed.onClosed = () => proxy.clear();
      const delivery = await deliver(opened, { count: 2_000 });
      await expectIdentity(gateway, delivery);
      expect(delivery).toMatchObject({ accepted: 2_000, rejected: 0 });
      expect(delivery.uncertain).toBeGreaterThan(0);
    },
  );

  test('resets a while later loses nothing', async ({ gateway, proxy }) => {
    const opened = open(gateway, proxy, { confirmAfterMs: 100 });
    proxy.add('downstream', { type: 'reset_peer', timeoutMs: 40 });
    opened.observed.onClosed = () => proxy.clear();
    const delivery = await deliver(opened, { count: 2_000 });
    await expectIdentity(gateway, delivery);
    expect(delivery).toMatchObject({ accepted: 2_000, rejected: 0 });
  });

  test('takes no more bytes is given up, and everything in flight is uncertain', async ({
    gateway,
    proxy,
  }) => {
    const opened = open(gateway, proxy, { confirmAfterMs: 60_000, writeStallMs: 400 });
    opened.submit({ count: 1, seed: 99 });
    await expect.poll(async () => gateway.control.ledger()).toMatchObject({ received: 1 });
    proxy.add('upstream', { type: 'stop_reading' });
    const payload = JSON.stringify({ aps: { alert: 'x'.repeat(2_000) } });
    const run = opened.submit({ count: 20_000, payload });
    await expect.poll(() => opened.observed.ends, { timeout: 20_000 }).toEqual(['write-stalled']);
    proxy.clear();
    await opened.transport.drain(20_000);
    // The rest was never written: proved on a new connection, or handed back.
    expect(run.open).toBe(0);
    expect(run.positions('uncertain')).toHaveLength(opened.observed.uncertain - 1);
    expect(run.settlements[0]).toEqual({ kind: 'uncertain', cause: 'write-stalled' });
  });
});
