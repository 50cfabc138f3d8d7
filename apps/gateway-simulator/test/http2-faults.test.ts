import { once } from 'node:events';
import { afterAll, describe, expect, vi } from 'vitest';
import { malformations } from '../src/http2/malformed-answer.ts';
import { reasonStatus } from '../src/http2/reasons.ts';
import { removeCertificates, test, tokenOf } from './simulator-test.ts';

afterAll(removeCertificates);

const on = 'http2' as const;
const hexOf = (number: number): string => tokenOf(number).toString('hex');

describe('answers by script', () => {
  test('every documented reason, with its status', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    for (const [reason, status] of Object.entries(reasonStatus)) {
      await simulator.setFaults([{ on, action: { kind: 'respond', reason } }]);
      expect(await client.push()).toMatchObject({ status, body: JSON.stringify({ reason }) });
    }
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({
      received: 0,
      rejected: Object.keys(reasonStatus).length,
    });
  });

  test('410 with the time at which the token was found gone', async ({ simulator }) => {
    const timestamp = 1_700_000_000_123;
    await simulator.setFaults([
      { on, match: { token: hexOf(2) }, action: { kind: 'respond', reason: 'Unregistered', timestamp } },
    ]);
    const client = await simulator.connectHttp2();
    const answers = await client.pushAll(1, 3);
    expect(answers.map(({ status }) => status)).toEqual([200, 410, 200]);
    expect(JSON.parse(answers[1]!.body)).toEqual({ reason: 'Unregistered', timestamp });
    await client.close();
  });

  test('429 and 503 with retry-after', async ({ simulator }) => {
    await simulator.setFaults([
      {
        on,
        match: { token: hexOf(1) },
        action: { kind: 'respond', reason: 'TooManyRequests', retryAfter: 3 },
      },
      {
        ...{ on, match: { token: hexOf(2) } },
        action: {
          kind: 'respond',
          reason: 'ServiceUnavailable',
          retryAfter: 'Wed, 25 Nov 2026 12:00:00 GMT',
        },
      },
    ]);
    const client = await simulator.connectHttp2();
    const answers = await client.pushAll(1, 2);
    expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual([
      [429, '3'],
      [503, 'Wed, 25 Nov 2026 12:00:00 GMT'],
    ]);
    await client.close();
  });

  test('a reason that nobody knows, no body, a body that is no JSON', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'respond', reason: 'NewInIOS30', status: 418 } },
      { on, match: { token: hexOf(2) }, action: { kind: 'respond', status: 502 } },
      { on, match: { token: hexOf(3) }, action: { kind: 'respond', status: 500, body: '<html>' } },
    ]);
    const answers = await client.pushAll(1, 3);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [418, '{"reason":"NewInIOS30"}'],
      [502, ''],
      [500, '<html>'],
    ]);
    await client.close();
  });

  test('every nth, after some, so often, for a prefix, for an app', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    const statuses = async (first: number, last: number): Promise<(number | undefined)[]> => {
      const answers = [];
      for (let number = first; number <= last; number += 1) answers.push(await client.push({}, { number }));
      return answers.map(({ status }) => status);
    };
    const action = { kind: 'respond', reason: 'InternalServerError' } as const;
    await simulator.setFaults([{ on, match: { everyNth: 3 }, action }]);
    expect(await statuses(1, 6)).toEqual([200, 200, 500, 200, 200, 500]);
    await simulator.setFaults([{ on, match: { after: 8 }, times: 1, action }]);
    expect(await statuses(7, 10)).toEqual([200, 200, 500, 200]);
    await simulator.setFaults([{ on, match: { tokenPrefix: 'a5' }, action }]);
    expect(await statuses(11, 11)).toEqual([500]);
    await simulator.setFaults([{ on, match: { app: 'com.example.other' }, action }]);
    expect(await statuses(12, 12)).toEqual([200]);
    await simulator.setFaults([{ on, match: { app: 'com.example.shop' }, action }]);
    expect(await statuses(13, 13)).toEqual([500]);
    await client.close();
  });

  test('later', async ({ simulator }) => {
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'delay', ms: 50 } },
      { on, match: { token: hexOf(2) }, action: { kind: 'respond', reason: 'Unregistered', delayMs: 25 } },
    ]);
    const client = await simulator.connectHttp2();
    const order: number[] = [];
    const push = async (number: number): Promise<void> => {
      await client.push({}, { number });
      order.push(number);
    };
    await Promise.all([push(1), push(2), push(3)]);
    expect(order).toEqual([3, 2, 1]);
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 2, rejected: 1 });
  });
});

describe('answers that are not of the gateway', () => {
  test('a proxy answers: no id, its own body and headers', async ({ simulator }) => {
    const headers = { 'content-type': 'text/html', location: 'https://elsewhere.example/' };
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'respond', status: 307, body: '<html>', headers } },
      { on, match: { token: hexOf(2) }, action: { kind: 'respond', status: 204, body: 'dropped' } },
      { on, match: { token: hexOf(3) }, action: { kind: 'respond', status: 403 } },
    ]);
    const client = await simulator.connectHttp2();
    const answers = await client.pushAll(1, 3);
    expect(answers[0]).toMatchObject({ status: 307, body: '<html>', headers });
    expect(answers[0]!.headers['apns-id']).toBeUndefined();
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [307, '<html>'],
      [204, ''],
      [403, ''],
    ]);
    await client.close();
  });

  test('a reason for one topic, and for no other of its app', async ({ simulator }) => {
    await simulator.setFaults([
      {
        on,
        match: { topic: 'com.example.shop.voip' },
        action: { kind: 'respond', reason: 'TopicDisallowed' },
      },
    ]);
    const client = await simulator.connectHttp2();
    const voip = { 'apns-topic': 'com.example.shop.voip', 'apns-push-type': 'voip' };
    const answers = [await client.push(), await client.push(voip)];
    expect(answers.map(({ reason, status }) => reason ?? status)).toEqual([200, 'TopicDisallowed']);
    await client.close();
  });

  test('500 on one connection, and on no other', async ({ simulator }) => {
    await simulator.setFaults([
      { on, match: { connection: 1 }, action: { kind: 'respond', reason: 'InternalServerError' } },
    ]);
    const sick = await simulator.connectHttp2();
    const sound = await simulator.connectHttp2();
    expect((await sick.pushAll(1, 3)).map(({ status }) => status)).toEqual([500, 500, 500]);
    expect((await sound.pushAll(1, 3)).map(({ status }) => status)).toEqual([200, 200, 200]);
    await Promise.all([sick.close(), sound.close()]);
  });
});

test.for([
  [{ everyNthConnection: 2 }, [2, 4]],
  [{ connection: 1, everyNthConnection: 3 }, [1, 4]],
] as const)('%j is for the connections %j of five', async ([match, sick], { simulator }) => {
  await simulator.setFaults([{ on, match, action: { kind: 'respond', reason: 'InternalServerError' } }]);
  for (const number of [1, 2, 3, 4, 5]) {
    const client = await simulator.connectHttp2();
    expect((await client.push()).status).toBe((sick as readonly number[]).includes(number) ? 500 : 200);
    await client.close();
  }
});

describe('streams that end otherwise', () => {
  test.for(malformations)(
    'one whose answer is malformed (%s), and no other',
    async (defect, { simulator }) => {
      await simulator.setFaults([
        { on, match: { token: hexOf(2) }, action: { kind: 'malformed', defect, taken: true } },
      ]);
      const client = await simulator.connectHttp2();
      const answers = await client.pushAll(1, 5);
      expect(answers.map(({ status, error }) => status ?? /NGHTTP2_\w+/.exec(error ?? '')?.[0])).toEqual([
        ...[200, 'NGHTTP2_PROTOCOL_ERROR', 200, 200, 200],
      ]);
      // The connection lives on, and so does the compression of its headers.
      expect((await client.pushAll(6, 8)).map(({ status }) => status)).toEqual([200, 200, 200]);
      await client.close();
      expect(await simulator.control.ledger()).toMatchObject({ received: 8, discarded: 0 });
    },
  );

  test.for([
    [false, { received: 1, discarded: 1 }],
    [true, { received: 2, discarded: 0 }],
  ] as const)('one that hangs; taken: %s', async ([taken, counts], { simulator }) => {
    await simulator.setFaults([{ on, match: { token: hexOf(1) }, action: { kind: 'hang', taken } }]);
    const client = await simulator.connectHttp2();
    const hanging = client.push({}, { number: 1 });
    expect(await client.push({}, { number: 2 })).toMatchObject({ status: 200 });
    expect(await simulator.control.ledger()).toMatchObject(counts);
    client.session.destroy();
    expect((await hanging).status).toBeUndefined();
  });

  test('one that is reset, with the code given', async ({ simulator }) => {
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'resetStream' } },
      { on, match: { token: hexOf(2) }, action: { kind: 'resetStream', code: 7 } },
      { on, match: { token: hexOf(3) }, action: { kind: 'resetStream', code: 11, taken: true } },
    ]);
    const client = await simulator.connectHttp2();
    const answers = await client.pushAll(1, 4);
    expect(answers.map(({ status, error }) => status ?? /NGHTTP2_\w+/.exec(error ?? '')?.[0])).toEqual([
      'NGHTTP2_INTERNAL_ERROR',
      'NGHTTP2_REFUSED_STREAM',
      'NGHTTP2_ENHANCE_YOUR_CALM',
      200,
    ]);
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 2, discarded: 2 });
  });

  test('one that its client gives up while the answer is on its way', async ({ simulator }) => {
    await simulator.setFaults([{ on, action: { kind: 'delay', ms: 20 } }]);
    const client = await simulator.connectHttp2();
    const stream = client.session.request({
      ':method': 'POST',
      ':path': `/3/device/${hexOf(1)}`,
      'apns-topic': 'com.example.shop',
    });
    stream.on('error', () => undefined);
    stream.end('{}');
    await vi.waitFor(async () => {
      const { rules } = (await simulator.get('/faults')) as { rules: { fired: number }[] };
      expect(rules[0]!.fired).toBe(1);
    });
    stream.close(8);
    await vi.waitFor(async () =>
      expect(await simulator.control.ledger()).toMatchObject({ received: 0, discarded: 1 }),
    );
    await client.close();
  });
});

describe('GOAWAY', () => {
  /** Ten streams wait for their answers when the tenth brings the GOAWAY. */
  const delay = { on, action: { kind: 'delay', ms: 100 } } as const;

  test('answers what is up to its last stream, ignores what is above, and closes', async ({ simulator }) => {
    await simulator.setFaults([
      delay,
      { on, match: { after: 10 }, action: { kind: 'goaway', streamsBack: 4, reason: 'Shutdown' } },
    ]);
    const client = await simulator.connectHttp2();
    const answers = await client.pushAll(1, 10);
    await client.ended;
    expect(answers.map(({ status }) => status ?? 'none')).toEqual([
      ...Array.from({ length: 6 }, () => 200),
      ...Array.from({ length: 4 }, () => 'none'),
    ]);
    // The sixth stream of a client: 1, 3, 5, 7, 9, 11.
    // Closing, the server may say so once more.
    expect(client.goAways.map(({ code, lastStreamId }) => [code, lastStreamId])).toContainEqual([0, 11]);
    expect(new Set(client.goAways.map(({ lastStreamId }) => lastStreamId))).toEqual(new Set([11]));
    expect(JSON.parse(client.goAways[0]!.data)).toMatchObject({ reason: 'Shutdown' });
    expect(await simulator.control.ledger()).toMatchObject({ received: 6, discarded: 4 });
  });

  test('may leave all without an answer', async ({ simulator }) => {
    await simulator.setFaults([
      delay,
      { on, match: { after: 10 }, action: { kind: 'goaway', answers: false, code: 2 } },
    ]);
    const client = await simulator.connectHttp2();
    const answering = client.pushAll(1, 10);
    await client.ended;
    expect((await answering).filter(({ status }) => status !== undefined)).toEqual([]);
    expect(client.goAways).toMatchObject([{ code: 2, lastStreamId: 19 }]);
    await vi.waitFor(async () =>
      expect(await simulator.control.ledger()).toMatchObject({ received: 0, discarded: 10 }),
    );
  });

  test('may say that nothing was looked at: last stream 0', async ({ simulator }) => {
    await simulator.setFaults([
      delay,
      { on, match: { after: 10 }, action: { kind: 'goaway', lastStreamId: 0, reason: 'Shutdown' } },
    ]);
    const client = await simulator.connectHttp2();
    const answering = client.pushAll(1, 10);
    await client.ended;
    expect((await answering).filter(({ status }) => status !== undefined)).toEqual([]);
    expect(client.goAways).toMatchObject([{ code: 0, lastStreamId: 0 }]);
    await vi.waitFor(async () =>
      expect(await simulator.control.ledger()).toMatchObject({ received: 0, discarded: 10 }),
    );
  });

  test.for([{ streamsBack: 20 }, { lastStreamId: 0 }, { lastStreamId: 3 }])(
    'never declares unprocessed what was taken or answered: %j',
    async (goaway, { simulator }) => {
      await simulator.setFaults([
        { on, match: { token: hexOf(3) }, action: { kind: 'respond', reason: 'BadDeviceToken' } },
        { on, match: { token: hexOf(4) }, action: { kind: 'hang', taken: true } },
        { on, match: { tokenPrefix: hexOf(9) }, action: { kind: 'delay', ms: 50 } },
        { on, match: { after: 10 }, action: { kind: 'goaway', ...goaway } },
      ]);
      const client = await simulator.connectHttp2();
      const answers = await client.pushAll(1, 20);
      await client.ended;
      // All come in one turn: the tenth is the last that is taken, the ninth is answered after the GOAWAY.
      expect(answers.map(({ status }) => status ?? 'none')).toEqual([
        ...[200, 200, 400, 'none', 200, 200, 200, 200, 200, 200],
        ...Array.from({ length: 10 }, () => 'none'),
      ]);
      expect(new Set(client.goAways.map(({ lastStreamId }) => lastStreamId))).toEqual(new Set([19]));
      // What comes above the last stream is not told of, or is discarded; it is not taken.
      expect(await simulator.control.ledger()).toMatchObject({ received: 9, duplicates: 0, rejected: 1 });
    },
  );

  test('may leave the closing to the client', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { after: 1 }, action: { kind: 'goaway', closes: false } }]);
    const client = await simulator.connectHttp2();
    const told = once(client.session, 'goaway');
    expect(await client.push()).toMatchObject({ status: 200 });
    await told;
    expect(client.goAways).toMatchObject([{ lastStreamId: 1 }]);
    expect(await simulator.get('/connections')).toMatchObject({ http2: { open: 1 } });
    await client.close();
  });

  test.override({ lingerMs: 200 });
  test('a client that stays is cut', async ({ simulator }) => {
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'hang' } },
      { on, match: { after: 1 }, action: { kind: 'goaway' } },
    ]);
    const client = await simulator.connectHttp2();
    const hanging = client.push();
    await client.ended;
    expect((await hanging).status).toBeUndefined();
  });
});

describe('connections', () => {
  test('answer nothing once they are mute, neither streams nor PINGs, and take everything', async ({
    simulator,
  }) => {
    await simulator.setFaults([{ on, match: { connection: 1, after: 3 }, action: { kind: 'mute' } }]);
    const client = await simulator.connectHttp2();
    // Each on its own: the answers of a turn go out at its end, and the third's is lost.
    expect(await client.push({}, { number: 1 })).toMatchObject({ status: 200 });
    expect(await client.push({}, { number: 2 })).toMatchObject({ status: 200 });
    const lost = client.pushAll(3, 10);
    await vi.waitFor(async () =>
      expect(await simulator.control.ledger()).toMatchObject({ received: 10, duplicates: 0 }),
    );
    // Sent now: a PING overtakes what waits to be written.
    let isPinged = false;
    client.session.ping((error) => {
      isPinged = error === null;
    });
    const other = await simulator.connectHttp2();
    expect(await other.push({}, { number: 11 })).toMatchObject({ status: 200 });
    await other.close();
    client.session.destroy();
    expect((await lost).filter(({ status }) => status !== undefined)).toEqual([]);
    expect(isPinged).toBe(false);
  });

  test('answer PINGs and no stream, after some that they answered', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { connection: 1, after: 5 }, action: { kind: 'hang' } }]);
    const client = await simulator.connectHttp2();
    expect((await client.pushAll(1, 5)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const hanging = client.pushAll(6, 8);
    await new Promise((resolve) => client.session.ping(resolve));
    client.session.destroy();
    expect((await hanging).filter(({ status }) => status !== undefined)).toEqual([]);
    expect(await simulator.control.ledger()).toMatchObject({ received: 5, discarded: 3 });
  });

  test('PINGs are answered, and dropped by rule', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { after: 1 }, action: { kind: 'dropPings' } }]);
    const client = await simulator.connectHttp2();
    const ping = async (): Promise<boolean> =>
      new Promise((resolve) => client.session.ping((error) => resolve(error === null)));
    expect(await ping()).toBe(true);
    const answers = await client.pushAll(1, 20);
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    let isAnswered = false;
    client.session.ping(() => {
      isAnswered = true;
    });
    // What comes after it is answered, so that it had its chance.
    expect(await client.push({}, { number: 21 })).toMatchObject({ status: 200 });
    expect(await simulator.get('/faults')).toMatchObject({ rules: [{ fired: 1 }] });
    expect(isAnswered).toBe(false);
    await client.close();
  });

  test('frames cut anywhere pass through where PINGs are dropped', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { after: 1_000 }, action: { kind: 'dropPings' } }]);
    const client = await simulator.connectHttp2();
    const body = Buffer.alloc(4_096, 0x20);
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, number) => client.push({}, { number, body })),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    await client.close();
  });

  test('the limit on streams changes while it lives', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    expect(client.streamLimits).toEqual([1_000]);
    await simulator.setFaults([{ on, match: { after: 1 }, action: { kind: 'streamLimit', limit: 3 } }]);
    const told = once(client.session, 'remoteSettings');
    await client.push();
    await told;
    expect(client.streamLimits).toEqual([1_000, 3]);
    const again = once(client.session, 'remoteSettings');
    await simulator.setFaults([{ on, action: { kind: 'streamLimit', limit: 50 } }]);
    await again;
    expect(client.streamLimits).toEqual([1_000, 3, 50]);
    await client.close();
  });

  test('stops reading, until the rule is taken away or its time is over', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { after: 2 }, action: { kind: 'stopReading' } }]);
    const client = await simulator.connectHttp2();
    await client.pushAll(1, 2);
    let answered = 0;
    const count = async (numbers: readonly [number, number]): Promise<void> => {
      answered += (await client.pushAll(...numbers)).length;
    };
    const waiting = count([3, 50]);
    // Another connection is served meanwhile.
    const other = await simulator.connectHttp2();
    expect(await other.push({}, { number: 51 })).toMatchObject({ status: 200 });
    await other.close();
    expect(answered).toBe(0);
    expect(await simulator.control.ledger()).toMatchObject({ received: 3 });
    await simulator.setFaults([]);
    await waiting;
    await simulator.setFaults([{ on, forMs: 50, action: { kind: 'stopReading' } }]);
    expect(await client.push({}, { number: 52 })).toMatchObject({ status: 200 });
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 52, duplicates: 0 });
  });

  test('reads as slowly as it is told, and everything once the rule is gone', async ({ simulator }) => {
    // What opens the connection is read at once; the rest would take minutes.
    await simulator.setFaults([
      { on, match: { connection: 1 }, action: { kind: 'slowReading', bytesPerSecond: 1 } },
    ]);
    const slow = await simulator.connectHttp2();
    let answered = 0;
    const pushing = slow.pushAll(1, 50).then((answers) => {
      answered = answers.filter(({ status }) => status === 200).length;
    });
    const other = await simulator.connectHttp2();
    expect(await other.push({}, { number: 51 })).toMatchObject({ status: 200 });
    await other.close();
    expect(answered).toBe(0);
    await simulator.setFaults([]);
    await pushing;
    expect(answered).toBe(50);
    await slow.close();
  });

  test('is closed without a word', async ({ simulator }) => {
    await simulator.setFaults([{ on, match: { after: 2 }, action: { kind: 'close' } }]);
    const client = await simulator.connectHttp2();
    await Promise.all([client.pushAll(1, 2), client.ended]);
    expect(client.goAways).toEqual([]);
    expect(await simulator.control.ledger()).toMatchObject({ received: 2 });
  });

  test('is reset', async ({ simulator }) => {
    await simulator.setFaults([
      { on, match: { token: hexOf(1) }, action: { kind: 'hang' } },
      { on, match: { after: 1 }, action: { kind: 'reset' } },
    ]);
    const client = await simulator.connectHttp2();
    const failed = once(client.session, 'error');
    const [answer] = await Promise.all([client.push(), client.ended]);
    expect(answer.status).toBeUndefined();
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
    // The next connection is numbered on, and lives.
    await simulator.setFaults([{ on, match: { connection: 1 }, action: { kind: 'reset' } }]);
    const next = await simulator.connectHttp2();
    expect(await next.push()).toMatchObject({ status: 200 });
    await next.close();
  });

  test('are refused, and the port is closed, for a while', async ({ simulator }) => {
    await simulator.setFaults([{ on, times: 1, action: { kind: 'refuse' } }]);
    await expect(simulator.connectHttp2()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await simulator.setFaults([{ on, forMs: 50, action: { kind: 'closePort' } }]);
    await expect(simulator.connectHttp2()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await vi.waitFor(async () => {
      const client = await simulator.connectHttp2();
      await client.close();
    });
  });
});
