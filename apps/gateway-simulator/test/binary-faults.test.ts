import { encodeKnownBadFrame } from '@pushfleet/apns-wire';
import { afterAll, describe, expect, vi } from 'vitest';
import type { FaultsBody } from '../src/faults/fault-schema.ts';
import {
  notification,
  notifications,
  removeCertificates,
  type TestSimulator,
  test,
  tokenOf,
} from './simulator-test.ts';

afterAll(removeCertificates);

type Rules = FaultsBody['rules'];

const hexToken = (number: number): string => tokenOf(number).toString('hex');

async function counts(simulator: TestSimulator): Promise<readonly number[]> {
  const { received, rejected, discarded } = await simulator.control.ledger();
  return [received, rejected, Number(discarded)];
}

describe('ten notifications in one write, and what becomes of them', () => {
  // Rules · the packet that ends the connection · received, rejected, discarded
  const cases: [string, Rules, { status: number; identifier: number } | undefined, number[]][] = [
    [
      'a token is rejected with status 8',
      [{ on: 'binary', match: { token: hexToken(4) }, action: { kind: 'reject' } }],
      { status: 8, identifier: 4 },
      [3, 1, 6],
    ],
    [
      'a token is rejected, written in capitals',
      [{ on: 'binary', match: { token: hexToken(4).toUpperCase() }, action: { kind: 'reject', status: 5 } }],
      { status: 5, identifier: 4 },
      [3, 1, 6],
    ],
    [
      'one of many tokens is rejected',
      [{ on: 'binary', match: { token: [99, 7, 98].map(hexToken) }, action: { kind: 'reject' } }],
      { status: 8, identifier: 7 },
      [6, 1, 3],
    ],
    [
      'tokens that begin with some bytes are rejected',
      [{ on: 'binary', match: { tokenPrefix: hexToken(9) }, action: { kind: 'reject' } }],
      { status: 8, identifier: 9 },
      [8, 1, 1],
    ],
    [
      'every fifth is rejected, with a status of choice',
      [{ on: 'binary', match: { everyNth: 5 }, action: { kind: 'reject', status: 1 } }],
      { status: 1, identifier: 5 },
      [4, 1, 5],
    ],
    [
      'the first after six is rejected',
      [{ on: 'binary', match: { after: 6 }, action: { kind: 'reject' } }],
      { status: 8, identifier: 7 },
      [6, 1, 3],
    ],
    [
      'the second after six is rejected',
      [{ on: 'binary', match: { after: 6, everyNth: 2 }, action: { kind: 'reject' } }],
      { status: 8, identifier: 8 },
      [7, 1, 2],
    ],
    [
      'the identifier is 0: which one is unknown',
      [{ on: 'binary', match: { token: hexToken(4) }, action: { kind: 'reject', identifier: 0 } }],
      { status: 8, identifier: 0 },
      [3, 1, 6],
    ],
    [
      'the status is one that nobody knows',
      [{ on: 'binary', match: { token: hexToken(4) }, action: { kind: 'reject', status: 42 } }],
      { status: 42, identifier: 4 },
      [3, 1, 6],
    ],
    [
      'shutdown names the last one that was taken',
      [{ on: 'binary', match: { after: 6 }, action: { kind: 'shutdown' } }],
      { status: 10, identifier: 6 },
      [6, 0, 4],
    ],
    [
      'a silent close after six',
      [{ on: 'binary', match: { after: 6 }, action: { kind: 'close' } }],
      undefined,
      [6, 0, 4],
    ],
    [
      'a silent close when a token has been taken',
      [{ on: 'binary', match: { token: hexToken(8) }, action: { kind: 'close' } }],
      undefined,
      [8, 0, 2],
    ],
    [
      'the first of two rules that would reject is the one that does',
      [
        { on: 'binary', match: { everyNth: 3 }, action: { kind: 'reject', status: 1 } },
        { on: 'binary', match: { token: hexToken(3) }, action: { kind: 'reject', status: 2 } },
      ],
      { status: 1, identifier: 3 },
      [2, 1, 7],
    ],
    [
      'rules for another app, another connection and another port do nothing',
      [
        { on: 'binary', match: { app: 'com.example.news' }, action: { kind: 'close' } },
        { on: 'binary', match: { connection: 2 }, action: { kind: 'close' } },
        { on: 'feedback', action: { kind: 'close' } },
        { on: 'binary', match: { after: 9 }, action: { kind: 'shutdown' } },
      ],
      { status: 10, identifier: 9 },
      [9, 0, 1],
    ],
  ];
  test.for(cases)('%s', async ([, rules, packet, expected], { simulator }) => {
    await simulator.setFaults(rules);
    const client = await simulator.connect();
    client.send(...notifications(1, 10));
    expect(await client.ended).toMatchObject({
      packet,
      // Packet and close are one write.
      chunks: packet === undefined ? [] : [6],
      error: undefined,
    });
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual(expected));
  });
});

describe('the error-response packet', () => {
  test('comes so many milliseconds late; what comes in meanwhile is discarded', async ({ simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { token: hexToken(1) }, action: { kind: 'reject', delayMs: 150 } },
    ]);
    const client = await simulator.connect();
    const started = performance.now();
    client.send(notification(1));
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([0, 1, 0]));
    client.send(...notifications(2, 5));
    expect((await client.ended).packet).toEqual({ status: 8, identifier: 1 });
    // Node's timers may fire a millisecond early.
    expect(performance.now() - started).toBeGreaterThanOrEqual(149);
    expect(await counts(simulator)).toEqual([0, 1, 4]);
  });

  test('comes so many frames late', async ({ simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { token: hexToken(3) }, action: { kind: 'reject', delayFrames: 5 } },
    ]);
    const client = await simulator.connect();
    client.send(...notifications(1, 7));
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([2, 1, 4]));
    expect(client.received).toHaveLength(0);
    client.send(notification(8));
    expect((await client.ended).packet).toEqual({ status: 8, identifier: 3 });
    expect(await counts(simulator)).toEqual([2, 1, 5]);
  });

  test('comes after the first of both, when both are given', async ({ simulator }) => {
    const delay = { delayMs: 3_600_000, delayFrames: 2 };
    await simulator.setFaults([
      { on: 'binary', match: { after: 1 }, action: { kind: 'shutdown', ...delay } },
    ]);
    const client = await simulator.connect();
    client.send(...notifications(1, 3));
    expect((await client.ended).packet).toEqual({ status: 10, identifier: 1 });
  });

  test('does not wait for frames of a client that has closed its side', async ({ simulator }) => {
    const delay = { delayMs: 3_600_000, delayFrames: 2 };
    await simulator.setFaults([
      { on: 'binary', match: { after: 1 }, action: { kind: 'shutdown', ...delay } },
    ]);
    const client = await simulator.connect();
    client.socket.allowHalfOpen = true;
    client.send(notification(1)).socket.end();
    expect((await client.ended).packet).toEqual({ status: 10, identifier: 1 });
  });

  test.for([0, 5])('comes byte by byte, %i ms apart', async (splitMs, { simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { after: 2 }, action: { kind: 'reject', status: 255, splitMs, delayMs: 1 } },
    ]);
    const client = await simulator.connect();
    client.send(...notifications(1, 5));
    expect(await client.ended).toMatchObject({
      packet: { status: 255, identifier: 3 },
      chunks: [1, 1, 1, 1, 1, 1],
      error: undefined,
    });
  });
});

describe('a connection', () => {
  test('is reset after so many', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', match: { after: 6 }, action: { kind: 'reset' } }]);
    const client = await simulator.connect();
    client.send(...notifications(1, 10));
    expect(await client.ended).toMatchObject({ packet: undefined, error: 'ECONNRESET' });
    expect(await counts(simulator)).toEqual([6, 0, 0]);
  });

  test('is not read any further after so many, until the rule is taken away', {
    timeout: 60_000,
  }, async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', match: { after: 6 }, action: { kind: 'stopReading' } }]);
    const client = await simulator.connect();
    const filler = { payload: Buffer.alloc(2_000, 0x20) };
    client.send(...notifications(1, 10));
    // More than all buffers between the two sides hold.
    let isFull = false;
    let last = 10;
    while (!isFull) {
      last += 1;
      isFull = !client.socket.write(Buffer.alloc(0)) && client.socket.writableLength > 50_000_000;
      client.send(...notifications(last, last + 999).map((each) => ({ ...each, ...filler })));
      last += 999;
    }
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([6, 0, 0]), 30_000);
    expect(client.socket.writableNeedDrain).toBe(true);
    await simulator.setFaults([]);
    await client.close();
    expect(await counts(simulator)).toEqual([last, 0, 0]);
  });

  test('is read again once the time of the rule is over', async ({ simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { after: 2 }, forMs: 300, action: { kind: 'stopReading' } },
    ]);
    const client = await simulator.connect();
    client.send(...notifications(1, 10));
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([2, 0, 0]));
    await client.close();
    expect(await counts(simulator)).toEqual([10, 0, 0]);
  });

  test('is read at so many bytes a second', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 400_000 } }]);
    const client = await simulator.connect();
    const started = performance.now();
    const frames = notifications(1, 100).map((each) => ({ ...each, payload: Buffer.alloc(1_000, 0x20) }));
    client.send(...frames);
    await client.close();
    // All but the last chunk (a TLS record, at most 16 KiB) have been waited for.
    const bytes = 100 * (5 + 15 + 32 + 1_000 + 9) - 16_384;
    expect(performance.now() - started).toBeGreaterThanOrEqual((bytes / 400_000) * 1_000 - 10);
    expect(await counts(simulator)).toEqual([100, 0, 0]);
  });

  test('that is slow is fast again when the rule is taken away', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 1 } }]);
    const client = await simulator.connect();
    client.send(...notifications(1, 1_000));
    await vi.waitFor(async () => expect((await counts(simulator))[0]).toBeGreaterThan(0));
    await simulator.setFaults([]);
    await client.close();
    expect(await counts(simulator)).toEqual([1_000, 0, 0]);
  });

  test('is closed right after the handshake', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'close' } }]);
    const client = await simulator.connect();
    expect(await client.ended).toMatchObject({ chunks: [], error: undefined });
  });

  test('is shut down before the first notification: the packet names none', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'shutdown' } }]);
    const client = await simulator.connect();
    expect((await client.ended).packet).toEqual({ status: 10, identifier: 0 });
  });

  test('that is open already feels a new rule at once', async ({ simulator }) => {
    const client = await simulator.connect();
    client.send(...notifications(1, 3));
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([3, 0, 0]));
    await simulator.setFaults([{ on: 'binary', match: { after: 3 }, action: { kind: 'shutdown' } }]);
    expect((await client.ended).packet).toEqual({ status: 10, identifier: 3 });
  });
});

describe('connecting', () => {
  test('is refused so many times', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', times: 2, action: { kind: 'refuse' } }]);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      expect((await simulator.dial().ended).error).toBe('ECONNRESET');
    }
    const client = await simulator.connect();
    client.send(notification(1));
    await client.close();
    expect(await counts(simulator)).toEqual([1, 0, 0]);
    expect(await simulator.get('/connections')).toMatchObject({ binary: { accepted: 3, refused: 2 } });
  });

  test('finds no port while it is closed, and then finds it again', async ({ simulator }) => {
    const client = await simulator.connect();
    await simulator.setFaults([{ on: 'binary', forMs: 100, action: { kind: 'closePort' } }]);
    expect((await simulator.dial().ended).error).toBe('ECONNREFUSED');
    // Connections that are open stay.
    client.send(notification(1));
    await client.close();
    await vi.waitFor(async () => {
      const late = simulator.dial();
      late.socket.once('secureConnect', () => late.socket.end());
      expect((await late.ended).error).toBeUndefined();
    });
    expect(await counts(simulator)).toEqual([1, 0, 0]);
  });

  test('finds a closed port open when the rules are taken away', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', forMs: 3_600_000, action: { kind: 'closePort' } }]);
    expect((await simulator.dial().ended).error).toBe('ECONNREFUSED');
    await simulator.control.reset();
    await (await simulator.connect()).close();
  });
});

describe('a rule', () => {
  test('that may fire twice fires twice, over all connections', async ({ simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { after: 1 }, times: 2, action: { kind: 'shutdown' } },
    ]);
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const client = await simulator.connect();
      client.send(notification(attempt));
      expect((await client.ended).packet).toEqual({ status: 10, identifier: attempt });
    }
    const client = await simulator.connect();
    client.send(...notifications(1, 5));
    expect((await client.close()).packet).toBeUndefined();
    expect(await simulator.get('/faults')).toMatchObject({ rules: [{ fired: 2, inForce: false }] });
  });

  test('for every nth counts over all connections', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', match: { everyNth: 10 }, action: { kind: 'reject' } }]);
    const first = await simulator.connect();
    first.send(...notifications(1, 6));
    await first.close();
    const second = await simulator.connect();
    second.send(...notifications(7, 12));
    expect((await second.ended).packet).toEqual({ status: 8, identifier: 10 });
  });

  test('for one connection leaves the next alone', async ({ simulator }) => {
    await simulator.setFaults([
      { on: 'binary', match: { connection: 1, after: 1 }, action: { kind: 'shutdown' } },
    ]);
    const first = await simulator.connect();
    first.send(notification(1));
    expect((await first.ended).packet).toEqual({ status: 10, identifier: 1 });
    const second = await simulator.connect();
    second.send(...notifications(1, 2));
    expect((await second.close()).packet).toBeUndefined();
  });

  test('that is added joins those in force', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', match: { connection: 1 }, action: { kind: 'close' } }]);
    await simulator.control.faults({
      add: true,
      rules: [{ on: 'binary', match: { connection: 2 }, action: { kind: 'shutdown' } }],
    } satisfies FaultsBody);
    expect((await (await simulator.connect()).ended).packet).toBeUndefined();
    expect((await (await simulator.connect()).ended).packet).toEqual({ status: 10, identifier: 0 });
  });
});

describe('a gateway that does not answer', () => {
  test('what is bad: it is discarded in silence, and the connection goes on', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', action: { kind: 'ignoreDefects' } }]);
    const client = await simulator.connect();
    client.send(
      ...notifications(1, 3),
      encodeKnownBadFrame(2, 4),
      notification(5, { token: Buffer.alloc(5) }),
      ...notifications(6, 8),
    );
    expect(await client.close()).toMatchObject({ packet: undefined, error: undefined });
    expect(await counts(simulator)).toEqual([6, 0, 2]);
  });

  test('at all: neither packet nor close comes back, and what follows is discarded', async ({
    simulator,
  }) => {
    await simulator.setFaults([
      { on: 'binary', match: { connection: 1, after: 2 }, action: { kind: 'mute' } },
    ]);
    const client = await simulator.connect();
    client.send(...notifications(1, 3), notification(4, { token: Buffer.alloc(0) }), ...notifications(5, 6));
    await vi.waitFor(async () => expect(await counts(simulator)).toEqual([3, 1, 2]));
    // Another connection has been served meanwhile: there was time for a packet.
    const other = await simulator.connect();
    other.send(notification(7, { token: Buffer.alloc(0) }));
    expect((await other.ended).packet).toEqual({ status: 2, identifier: 7 });
    expect(client.received.length).toBe(0);
    expect(client.socket.readableEnded).toBe(false);
    expect(await client.close()).toMatchObject({ packet: undefined, error: undefined });
  });

  test('and hangs up without a word after every third notification', async ({ simulator }) => {
    await simulator.setFaults([{ on: 'binary', match: { after: 3 }, action: { kind: 'close' } }]);
    for (const first of [1, 4]) {
      const client = await simulator.connect();
      client.send(...notifications(first, first + 9));
      expect(await client.ended).toMatchObject({ packet: undefined, error: undefined });
    }
    expect(await counts(simulator)).toEqual([6, 0, 14]);
  });
});
