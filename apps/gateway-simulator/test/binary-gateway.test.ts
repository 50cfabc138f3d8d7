import { once } from 'node:events';
import { type BinaryNotification, encodeKnownBadFrame, encodeNotification } from '@pushfleet/apns-wire';
import { afterAll, describe, expect, vi } from 'vitest';
import { notification, notifications, payload, removeCertificates, test, tokenOf } from './simulator-test.ts';

afterAll(removeCertificates);

describe.each([0, 1, 2] as const)('command %i', (command) => {
  test('sound notifications are taken in silence, each once', async ({ simulator }) => {
    const client = await simulator.connect();
    client.send(...notifications(1, 100).map((each) => ({ ...each, command })));
    expect(await client.close()).toMatchObject({ packet: undefined, error: undefined });
    expect(await simulator.control.ledger()).toMatchObject({
      ...{ received: 100, unique: 100, duplicates: 0, rejected: 0, discarded: 0 },
      apps: { 'com.example.shop': { received: 100, unique: 100 } },
    });
  });

  test('frames cut anywhere are put together again', async ({ simulator }) => {
    const client = await simulator.connect();
    client.send(notification(1, { command }), notification(2, { command }));
    for (const byte of encodeNotification(notification(3, { command }))) client.send(Buffer.of(byte));
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 3, unique: 3 });
  });
});

describe('what is wrong with a notification is answered with its status and identifier', () => {
  const wrong: [string, Partial<BinaryNotification>, number][] = [
    ['no token', { token: Buffer.alloc(0) }, 2],
    ['no payload', { payload: Buffer.alloc(0) }, 4],
    ['a token of 1 byte', { token: Buffer.alloc(1, 1) }, 5],
    ['a token of 31 bytes', { token: Buffer.alloc(31, 1) }, 5],
    ['a token of 33 bytes', { token: Buffer.alloc(33, 1) }, 5],
    ['a token of 101 bytes', { token: Buffer.alloc(101, 1) }, 5],
    ['a payload over the limit', { payload: Buffer.alloc(2_049, 0x20) }, 7],
    ['a priority that does not exist', { priority: 7 }, 128],
  ];
  test.for(wrong)('%s', async ([, change, status], { simulator }) => {
    const client = await simulator.connect();
    client.send(notification(6), notification(7, change), notification(8), notification(9));
    expect(await client.ended).toMatchObject({
      packet: { status, identifier: 7 },
      chunks: [6],
      error: undefined,
    });
    expect(await simulator.control.ledger()).toMatchObject({ received: 1, rejected: 1, discarded: 2 });
  });

  test('a payload over the limit of command 1', async ({ simulator }) => {
    const client = await simulator.connect();
    client.send(notification(7, { command: 1, payload: Buffer.alloc(257, 0x20) }));
    expect((await client.ended).packet).toEqual({ status: 7, identifier: 7 });
  });
});

describe('with other sizes of tokens', () => {
  test.override({ flags: ['--token-bytes', '8-480'] });

  test('those are taken, on both gateways, and by the binary protocol none of more than 100', async ({
    simulator,
  }) => {
    const client = await simulator.connect();
    client.send(
      ...[8, 32, 100].map((size) => notification(size, { token: Buffer.alloc(size, 1) })),
      notification(9, { token: Buffer.alloc(101, 1) }),
    );
    expect((await client.ended).packet).toEqual({ status: 5, identifier: 9 });
    const http2 = await simulator.connectHttp2();
    const answers = [7, 8, 160, 481].map(async (size) =>
      http2.push({}, { path: `/3/device/${'ab'.repeat(size)}` }),
    );
    expect((await Promise.all(answers)).map(({ status, reason }) => reason ?? status)).toEqual([
      ...['BadDeviceToken', 200, 200, 'BadDeviceToken'],
    ]);
    await http2.close();
  });
});

test('a known-bad frame is answered with status 2, and proves what came before', async ({ simulator }) => {
  const client = await simulator.connect();
  client.send(...notifications(1, 3), encodeKnownBadFrame(2, 4));
  expect((await client.ended).packet).toEqual({ status: 2, identifier: 4 });
  expect(await simulator.control.ledger()).toMatchObject({ received: 3, rejected: 1 });
});

test('a stream that is no frames is answered with status 128 and no identifier', async ({ simulator }) => {
  const client = await simulator.connect();
  client.send(notification(1), Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  expect((await client.ended).packet).toEqual({ status: 128, identifier: 0 });
  expect(await simulator.control.ledger()).toMatchObject({ received: 1, rejected: 0, discarded: 0 });
});

test('command 0 gets no packet: the connection is just cut', async ({ simulator }) => {
  const client = await simulator.connect();
  client.send(
    notification(1, { command: 0 }),
    notification(2, { command: 0, token: Buffer.alloc(0) }),
    notification(3, { command: 0 }),
  );
  expect(await client.ended).toMatchObject({ packet: undefined, chunks: [], error: undefined });
  expect(await simulator.control.ledger()).toMatchObject({ received: 1, rejected: 1, discarded: 1 });
});

test.for(['TLSv1.2', 'TLSv1.3'] as const)(
  'a client that keeps writing megabytes after an error still gets the packet (%s)',
  async (maxVersion, { simulator }) => {
    const client = await simulator.connect({ maxVersion });
    const bad = notification(1, { token: Buffer.alloc(0) });
    const flood = Array.from({ length: 40_000 }, (_, index) => notification(index + 2));
    // Written in parts, so that the gateway has closed its side before all of it is on its way.
    client.send(bad);
    for (let at = 0; at < flood.length; at += 2_000) client.send(...flood.slice(at, at + 2_000));
    const end = await client.ended;
    expect(end.packet).toEqual({ status: 2, identifier: 1 });
    expect(end.error).toBeUndefined();
  },
);

test('a notification sent again is a duplicate, on any connection; another payload makes another', async ({
  simulator,
}) => {
  const first = await simulator.connect();
  first.send(...notifications(1, 10));
  await first.close();
  const second = await simulator.connect();
  second.send(
    ...notifications(6, 10).map((each) => ({ ...each, identifier: 99 })),
    notification(1, { payload: Buffer.from('{"aps":{"badge":1}}') }),
  );
  await second.close();
  expect(await simulator.control.ledger()).toMatchObject({ received: 16, unique: 11, duplicates: 5 });
});

test('the notifications are told one by one, in order, with what became of them', async ({ simulator }) => {
  const client = await simulator.connect();
  client.send(
    notification(1),
    notification(1, { identifier: 2, command: 1, expiration: 5 }),
    notification(3, { token: Buffer.alloc(0) }),
    notification(4, { priority: 5 }),
  );
  await client.ended;
  const told = [];
  for await (const each of simulator.control.notifications()) told.push(each);
  const common = { app: 'com.example.shop', transport: 'binary', connection: 1, payload: payload.toString() };
  expect(told).toEqual([
    {
      ...{ ...common, at: expect.any(Number), sequence: 1, command: 2, token: tokenOf(1).toString('hex') },
      ...{ identifier: 1, expiration: 1_700_000_000, priority: 10, outcome: 'received', duplicate: false },
    },
    {
      ...{ ...common, at: expect.any(Number), sequence: 2, command: 1, token: tokenOf(1).toString('hex') },
      ...{ identifier: 2, expiration: 5, priority: 10, outcome: 'received', duplicate: true },
    },
    {
      ...{ ...common, at: expect.any(Number), sequence: 3, command: 2, token: '', identifier: 3 },
      ...{ expiration: 1_700_000_000, priority: 10, outcome: 'rejected', status: 2 },
    },
    {
      ...{ ...common, at: expect.any(Number), sequence: 4, command: 2, token: tokenOf(4).toString('hex') },
      ...{ identifier: 4, expiration: 1_700_000_000, priority: 5, outcome: 'discarded' },
    },
  ]);
});

describe('certificates', () => {
  test('a client without one fails in the handshake', async ({ simulator }) => {
    const client = simulator.dial({ identity: undefined });
    expect((await client.ended).error).toMatch(/ERR_SSL|ECONNRESET/);
    expect(await simulator.get('/connections')).toMatchObject({ binary: { handshakeFailed: 1 } });
  });

  test('each app is counted by the topic of its certificate', async ({ simulator }) => {
    const [news, shop] = await Promise.all([
      simulator.connect({ identity: await simulator.issue('news', 'com.example.news') }),
      simulator.connect(),
    ]);
    news.send(...notifications(1, 2));
    shop.send(...notifications(1, 3));
    await Promise.all([news.close(), shop.close()]);
    expect(await simulator.control.ledger()).toMatchObject({
      ...{ received: 5, unique: 5 },
      apps: {
        'com.example.news': { received: 2, unique: 2 },
        'com.example.shop': { received: 3, unique: 3 },
      },
    });
  });

  describe.each([
    { environment: 'production', wrong: 'development' },
    { environment: 'sandbox', wrong: 'production' },
  ] as const)('for $environment', ({ environment, wrong }) => {
    test.override({ flags: ['--environment', environment] });

    test(`one for ${wrong} alone passes the handshake and is cut`, async ({ simulator }) => {
      const identity = await simulator.issue(`only-${wrong}`, 'com.example.shop', [wrong]);
      const client = await simulator.connect({ identity });
      client.send(notification(1));
      expect((await client.ended).packet).toBeUndefined();
      expect(await simulator.control.ledger()).toMatchObject({ received: 0 });
      expect(await simulator.get('/connections')).toMatchObject({ binary: { wrongEnvironment: 1 } });
    });

    test('one for both is good', async ({ simulator }) => {
      const client = await simulator.connect();
      client.send(notification(1));
      await client.close();
      expect(await simulator.control.ledger()).toMatchObject({ received: 1 });
    });
  });
});

describe('a client that stays after its end', () => {
  test.override({ lingerMs: 50 });

  test('is cut', async ({ simulator }) => {
    const client = await simulator.connect();
    client.socket.allowHalfOpen = true;
    client.send(notification(1, { token: Buffer.alloc(0) }));
    await once(client.socket, 'end');
    await vi.waitFor(async () => {
      expect(await simulator.get('/connections')).toMatchObject({ binary: { open: 0 } });
    });
    client.socket.destroy();
    expect((await client.ended).packet).toEqual({ status: 2, identifier: 1 });
  });
});
