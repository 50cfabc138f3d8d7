import { once } from 'node:events';
import { describe, expect } from 'vitest';
import { type Http2Kit, TestTokens, test, withoutNghttpd } from './http2-test.ts';
import { RecordedRun, type RunContent } from './recorded-run.ts';

// The same suite into two implementations of HTTP/2 that are not ours.

interface Target {
  readonly port: number;
}

const gateways: Record<
  string,
  { skip: boolean; open(kit: Http2Kit, tokens: readonly string[], streams?: number): Promise<Target> }
> = {
  'node:http2': {
    skip: false,
    open: async (kit, _, streams) =>
      kit.node({ settings: streams === undefined ? {} : { maxConcurrentStreams: streams } }),
  },
  nghttpd: {
    skip: withoutNghttpd !== undefined,
    open: async (kit, tokens, streams = 100) => kit.nghttpd({ tokens, args: ['-m', String(streams)] }),
  },
};

function tokensOf(content: RunContent): string[] {
  const run = new RecordedRun(content);
  return Array.from({ length: content.count }, (_, position) => run.token(position));
}

test('as much is taken as the windows of all connections hold', async ({ kit }) => {
  const gateway = await kit.node({ answer: () => undefined });
  const { transport, submit } = kit.open(gateway.port, { connections: 3, window: 20 });
  expect(transport.room).toBe(60);
  submit({ count: 50 });
  expect(transport.room).toBe(10);
});

describe.each(Object.entries(gateways))('into %s', (_, { skip, open }) => {
  const testHere = test.skipIf(skip);

  testHere('everything is accepted, proved, in more runs than the window has streams', async ({ kit }) => {
    const content = { count: 700 };
    const { port } = await open(kit, tokensOf(content), 100);
    const { transport, submit, observed } = kit.open(port, { connections: 2 });
    const runs = Array.from({ length: 5 }, () => submit(content));
    for (const run of runs) expect((await run.settled()).sums).toEqual({ proved: 700 });
    expect(transport.inFlight).toBe(0);
    expect(observed.uncertain).toBe(0);
    await transport.drain(10_000);
    expect(observed.ends.every((end) => end === 'drained')).toBe(true);
    expect(transport.state).toEqual({ kind: 'closed' });
  });

  testHere('one stream at a time is enough', async ({ kit }) => {
    const content = { count: 50 };
    const { port } = await open(kit, tokensOf(content), 1);
    const { submit } = kit.open(port, { connections: 2 });
    expect((await submit(content).settled()).sums).toEqual({ proved: 50 });
  });

  testHere('every byte may come by itself, in both directions', async ({ kit }) => {
    const content = { count: 20 };
    const { port } = await open(kit, tokensOf(content));
    const proxy = await kit.proxy(port);
    proxy.add('upstream', { type: 'slicer', averageSize: 1 });
    proxy.add('downstream', { type: 'slicer', averageSize: 1 });
    const { submit } = kit.open(proxy.port);
    expect((await submit(content).settled()).sums).toEqual({ proved: 20 });
  });

  testHere('with a certificate, through a renewal, nothing is lost', async ({ kit }) => {
    const content = { count: 400 };
    const { port } = await open(kit, tokensOf(content));
    const listeners = new Set<() => void>();
    const credential = {
      current: () => ({ cert: kit.client.certificatePem, key: kit.client.privateKeyPem }),
      onChange: (listener: () => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const { submit, observed } = kit.open(port, { authentication: { kind: 'certificate', credential } });
    const first = submit(content);
    await first.settled();
    const second = submit(content);
    for (const renewed of listeners) renewed();
    expect((await second.settled()).sums).toEqual({ proved: 400 });
    expect(observed.opened).toBe(2);
    expect(observed.ends).toEqual(['rotated']);
  });
});

test('the headers of a notification are those of docs/protocol/http2.md#requests, the same on every retry', async ({
  kit,
}) => {
  let isFirst = true;
  const gateway = await kit.node({
    answer: (stream, { headers }) => {
      if (!isFirst) stream.respond({ ':status': 200, 'apns-id': headers['apns-id'] }, { endStream: true });
      // REFUSED_STREAM: safe to send again.
      else stream.close(7);
      isFirst = false;
    },
  });
  const { submit, observed } = kit.open(gateway.port);
  const expiration = Math.floor(Date.now() / 1_000) + 3_600;
  const run = submit({
    count: 2,
    seed: 9,
    payload: '{"aps":{"content-state":{}}}',
    expirations: { 1: expiration },
    http2: { pushType: ['liveactivity', 'voip'], collapseId: [null, 'score'] },
  });
  expect((await run.settled()).sums).toEqual({ proved: 2 });
  expect(observed.replayed).toBe(1);
  const common = {
    ':method': 'POST',
    ':scheme': 'https',
    authorization: 'bearer a.b.c',
    'apns-priority': '10',
  };
  const [first, again, second] = gateway.requests;
  expect(first?.headers).toMatchObject({
    ...common,
    ':authority': `localhost:${gateway.port}`,
    ':path': `/3/device/${run.token(0)}`,
    'apns-topic': 'com.example.shop.push-type.liveactivity',
    'apns-push-type': 'liveactivity',
    'apns-expiration': '0',
    'apns-id': '00000009-0000-7000-8000-000000000000',
  });
  expect(first?.headers).not.toHaveProperty('apns-collapse-id');
  expect(again?.headers).toEqual(first?.headers);
  expect(second?.headers).toMatchObject({
    ...common,
    ':path': `/3/device/${run.token(1)}`,
    'apns-topic': 'com.example.shop.voip',
    'apns-push-type': 'voip',
    'apns-expiration': String(expiration),
    'apns-collapse-id': 'score',
    'apns-id': '00000009-0000-7000-8000-000000000001',
  });
  expect(gateway.requests.map(({ body }) => body)).toEqual(Array(3).fill('{"aps":{"content-state":{}}}'));
});

test('with a token, one stream is open until the first answer, and no second connection', async ({ kit }) => {
  let release: (() => void) | undefined;
  const gateway = await kit.node({
    answer: (stream, { headers }) => {
      const answer = (): void =>
        stream.respond({ ':status': 200, 'apns-id': headers['apns-id'] }, { endStream: true });
      if (gateway.requests.length > 1) answer();
      else release = answer;
    },
  });
  const { submit, observed } = kit.open(gateway.port, { connections: 3 });
  const run = submit({ count: 100 });
  await expect.poll(() => release).toBeDefined();
  // A round trip later nothing else has come.
  await new Promise((resolve) => gateway.sessions[0]?.ping(() => resolve(undefined)));
  expect(gateway.requests).toHaveLength(1);
  release?.();
  expect((await run.settled()).sums).toEqual({ proved: 100 });
  expect(observed.opened).toBe(1);
});

test('the order of a run is kept on a connection', async ({ kit }) => {
  const gateway = await kit.node();
  const { submit } = kit.open(gateway.port);
  const run = await submit({ count: 300 }).settled();
  const paths = gateway.requests
    .toSorted((a, b) => a.streamId - b.streamId)
    .map(({ headers }) => headers[':path']);
  expect(paths).toEqual(Array.from({ length: 300 }, (_, position) => `/3/device/${run.token(position)}`));
});

test('what has expired, or is too large, is not sent', async ({ kit }) => {
  const gateway = await kit.node();
  const { submit } = kit.open(gateway.port);
  const expired = submit({ count: 3, expirations: { 1: 1_000 } });
  const large = submit({
    count: 2,
    payload: `{"aps":{},"x":"${'y'.repeat(4_100)}"}`,
    http2: { pushType: ['alert', 'voip'] },
  });
  expect((await expired.settled()).sums).toEqual({ proved: 2, expired: 1 });
  expect((await large.settled()).sums).toEqual({ rejected: 1, proved: 1 });
  expect(large.settlements[0]).toEqual({
    kind: 'rejected',
    answer: { reason: 'PayloadTooLarge', status: 413, fault: 'notification', tokenInvalid: false },
  });
  expect(gateway.requests).toHaveLength(3);
});

test('a header that cannot be sent is refused for itself alone', async ({ kit }) => {
  const gateway = await kit.node();
  const { submit } = kit.open(gateway.port);
  const run = await submit({ count: 3, http2: { collapseId: [null, 'a\nb', null] } }).settled();
  expect(run.positions('rejected')).toEqual([1]);
  expect(run.positions('accepted')).toEqual([0, 2]);
});

test('a run without HTTP/2 columns is a mistake of the caller', async ({ kit }) => {
  const gateway = await kit.node();
  const { transport } = kit.open(gateway.port);
  const { columns, sink } = new RecordedRun({ count: 1 });
  expect(() => transport.submit({ columns, sink })).toThrow(TypeError);
  expect(transport.inFlight).toBe(0);
});

describe('provider tokens', () => {
  test('are fetched before anything is sent, and again when that fails', async ({ kit }) => {
    const gateway = await kit.node();
    class LateTokens extends TestTokens {
      override async refresh(): Promise<void> {
        await super.refresh();
        if (this.calls.length === 1) throw new Error('the store is away');
        this.renew('late');
      }
    }
    const tokens = new LateTokens();
    const { submit } = kit.open(gateway.port, { authentication: { kind: 'token', tokens } });
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ proved: 2 });
    expect(tokens.calls).toEqual(['refresh', 'refresh']);
    expect(gateway.requests.every(({ headers }) => headers.authorization === 'bearer late')).toBe(true);
  });

  test('a renewed one is used from the next request on, on the same connection', async ({ kit }) => {
    const gateway = await kit.node();
    const tokens = new TestTokens('old');
    const { submit, observed } = kit.open(gateway.port, { authentication: { kind: 'token', tokens } });
    await submit({ count: 1 }).settled();
    tokens.renew('new');
    await submit({ count: 1 }).settled();
    expect(gateway.requests.map(({ headers }) => headers.authorization)).toEqual([
      'bearer old',
      'bearer new',
    ]);
    expect(observed.opened).toBe(1);
  });
});

describe('draining', () => {
  test('waits for the answers that are due, and hands back what was not written', async ({ kit }) => {
    const waiting: (() => void)[] = [];
    const gateway = await kit.node({
      answer: (stream) => {
        waiting.push(() => stream.respond({ ':status': 200 }, { endStream: true }));
        if (gateway.requests.length <= 1) waiting.shift()?.();
      },
      settings: { maxConcurrentStreams: 10 },
    });
    const { submit, transport } = kit.open(gateway.port);
    const run = submit({ count: 50 });
    await expect.poll(() => waiting.length).toBe(10);
    const drained = transport.drain(20_000);
    for (const answer of waiting) answer();
    await drained;
    expect(run.sums).toEqual({ proved: 11, unprocessed: 39 });
    expect(transport.room).toBe(0);
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ unprocessed: 2 });
  });

  test('at its deadline, what has no answer is uncertain', async ({ kit }) => {
    const gateway = await kit.node({ answer: () => undefined });
    const { submit, transport } = kit.open(gateway.port);
    const run = submit({ count: 5 });
    await expect.poll(() => gateway.requests.length).toBe(1);
    await transport.drain(50);
    expect(run.sums).toEqual({ uncertain: 1, unprocessed: 4 });
  });

  test('tells the gateway goodbye', async ({ kit }) => {
    const gateway = await kit.node();
    const { submit, transport } = kit.open(gateway.port);
    await submit({ count: 1 }).settled();
    const goodbye = once(gateway.sessions[0]!, 'goaway');
    await transport.drain(10_000);
    expect((await goodbye)[0]).toBe(0);
  });
});
