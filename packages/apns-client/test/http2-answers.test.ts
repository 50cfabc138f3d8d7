import { encodeGoAway, SettingId } from '@pushfleet/apns-wire/http2';
import { describe, expect, test as pureTest } from 'vitest';
import { goAwayReason, judgeAnswer } from '../src/http2/answer-policy.ts';
import { topicOf } from '../src/http2/push-topics.ts';
import type { TransportState } from '../src/index.ts';
import { isComplete, ok } from './frame-server.ts';
import { TestTokens, test } from './http2-test.ts';
import { accept, type NodeGatewayOptions, refuse } from './node-gateway.ts';

/**
 * The table of `docs/protocol/http2.md#answers`, typed from it: status, reasons, action, evidence against the token.
 */
const table: readonly [status: number, reasons: string, action: string, tokenInvalid: boolean][] = [
  [
    400,
    'BadCollapseId BadExpirationDate BadMessageId BadPriority DuplicateHeaders InvalidPushType ' +
      'PayloadEmpty MissingDeviceToken',
    'reject',
    false,
  ],
  [400, 'BadTopic MissingTopic TopicDisallowed', 'topic-refused', false],
  [400, 'IdleTimeout', 'retry-elsewhere', false],
  [400, 'BadDeviceToken DeviceTokenNotForTopic', 'reject', true],
  [
    403,
    'BadCertificate BadCertificateEnvironment Forbidden MissingProviderToken BadEnvironmentKeyIdInToken',
    'pause',
    false,
  ],
  [403, 'InvalidProviderToken', 'replace-token', false],
  [403, 'ExpiredProviderToken', 'sign-anew', false],
  [403, 'UnrelatedKeyIdInToken', 'reconnect', false],
  [404, 'BadPath', 'reject', false],
  [405, 'MethodNotAllowed', 'reject', false],
  [410, 'Unregistered ExpiredToken', 'reject', true],
  [413, 'PayloadTooLarge', 'reject', false],
  [429, 'TooManyRequests', 'retry', false],
  [429, 'TooManyProviderTokenUpdates', 'keep-token', false],
  [500, 'InternalServerError', 'retry', false],
  [503, 'ServiceUnavailable', 'retry', false],
  [503, 'Shutdown', 'retry-elsewhere', false],
  [400, 'SomethingNew', 'retry', false],
  [403, 'SomethingNew', 'retry', false],
  [410, 'SomethingNew', 'reject', true],
  [413, 'SomethingNew', 'reject', false],
  [500, 'SomethingNew', 'retry', false],
];
const rows = table.flatMap(([status, reasons, action, tokenInvalid]) =>
  reasons.split(' ').map((reason) => ({ status, reason, action, tokenInvalid })),
);

describe('what an answer means', () => {
  pureTest.each(rows)('$status $reason: $action', ({ status, reason, action, tokenInvalid }) => {
    const meaning = judgeAnswer({ status, body: JSON.stringify({ reason }), retryAfter: undefined }, 0);
    const isGateway = status === 429 || status >= 500 || reason === 'IdleTimeout';
    const fault = isGateway ? 'gateway' : 'notification';
    expect(meaning).toEqual({ action, answer: { reason, status, fault, tokenInvalid } });
  });

  pureTest('the timestamp of a 410 is in milliseconds, and of a 410 alone', () => {
    const body = JSON.stringify({ reason: 'Unregistered', timestamp: 1_700_000_000_123 });
    const judge = (status: number) => judgeAnswer({ status, body, retryAfter: undefined }, 0).answer;
    expect(judge(410)).toMatchObject({ unregisteredAtMs: 1_700_000_000_123 });
    expect(judge(400)).not.toHaveProperty('unregisteredAtMs');
  });

  pureTest.each([
    ['', 'Status502'],
    ['<html>Bad Gateway</html>', 'Status502'],
    ['null', 'Status502'],
    ['{"reason":7}', 'Status502'],
    ['{"reason":"has spaces\\nand more"}', 'Status502'],
    ['{"reason":"Named"}', 'Named'],
  ])('a body of %j is the reason %s', (body, reason) => {
    expect(judgeAnswer({ status: 502, body, retryAfter: undefined }, 0).answer.reason).toBe(reason);
  });

  pureTest.each([
    ['7', 7_000],
    ['0', 0],
    ['Thu, 01 Jan 1970 00:01:00 GMT', 50_000],
    ['Thu, 01 Jan 1970 00:00:01 GMT', 0],
    ['999999999', 86_400_000],
    ['99999999999', 86_400_000],
    ['Thursday, 01-Jan-70 00:01:00 GMT', 50_000],
    ['Thu Jan  1 00:01:00 1970', 50_000],
    ['soon', undefined],
    ['-1', undefined],
  ])('retry-after %s is %s ms', (retryAfter, ms) => {
    const { answer } = judgeAnswer({ status: 503, body: '', retryAfter }, 10_000);
    expect(answer.retryAfterMs).toBe(ms);
  });

  pureTest('a GOAWAY may tell its reason', () => {
    expect(goAwayReason('{"reason":"BadCertificate"}')).toEqual({
      reason: 'BadCertificate',
      isCredential: true,
    });
    expect(goAwayReason('{"reason":"IdleTimeout"}')).toEqual({ reason: 'IdleTimeout', isCredential: false });
    expect(goAwayReason('')).toBeUndefined();
  });

  pureTest('every push type has its topic', () => {
    const topics = [
      'alert',
      'background',
      'mdm',
      'voip',
      'complication',
      'fileprovider',
      'location',
      'liveactivity',
      'widgets',
      'controls',
      'pushtotalk',
      'new',
    ];
    expect(topics.map((type) => topicOf('a.b', type))).toEqual([
      'a.b',
      'a.b',
      'a.b',
      'a.b.voip',
      'a.b.complication',
      'a.b.pushkit.fileprovider',
      'a.b.location-query',
      'a.b.push-type.liveactivity',
      'a.b.push-type.widgets',
      'a.b.push-type.controls',
      'a.b.voip-ptt',
      'a.b',
    ]);
    expect(topicOf('a.b.voip', 'voip')).toBe('a.b.voip');
  });
});

/** Answers the first `times` requests so, and the rest with 200. */
function first(
  times: number,
  status: number,
  reason: string,
  headers: Readonly<Record<string, string>> = {},
): NodeGatewayOptions {
  let left = times;
  return {
    answer: (stream, request) => {
      if (left-- > 0) refuse(stream, status, { reason }, headers);
      else accept(stream, request);
    },
  };
}

test('answers settle each its own notification, in a mixed run', async ({ kit }) => {
  const answers: Readonly<Record<number, [number, object, Record<string, string>?]>> = {
    3: [410, { reason: 'Unregistered', timestamp: 1_700_000_000_123 }],
    5: [400, { reason: 'BadDeviceToken' }],
    7: [429, { reason: 'TooManyRequests' }, { 'retry-after': '9' }],
    8: [500, { reason: 'InternalServerError' }],
    9: [418, { reason: 'Teapot' }],
  };
  const gateway = await kit.node({
    answer: (stream, request) => {
      const position = Number.parseInt(String(request.headers['apns-id']).slice(28), 16);
      const [status, body, headers] = answers[position] ?? [];
      if (status === undefined) accept(stream, request);
      else refuse(stream, status, { ...body }, headers);
    },
  });
  const { submit, observed } = kit.open(gateway.port);
  const run = await submit({ count: 12 }).settled();
  expect(run.sums).toEqual({ proved: 7, rejected: 2, retryable: 3 });
  expect(run.settlements[3]).toEqual({
    kind: 'rejected',
    answer: {
      reason: 'Unregistered',
      status: 410,
      fault: 'notification',
      tokenInvalid: true,
      unregisteredAtMs: 1_700_000_000_123,
    },
  });
  expect(run.settlements[7]).toMatchObject({ answer: { reason: 'TooManyRequests', retryAfterMs: 9_000 } });
  expect(run.settlements[9]).toMatchObject({ answer: { reason: 'Teapot', status: 418 } });
  expect(observed.statuses.toSorted((a, b) => a - b)).toEqual([400, 410, 418, 429, 500]);
  expect(observed.opened).toBe(1);
});

test('IdleTimeout and Shutdown are tried again by the caller, on another connection', async ({ kit }) => {
  const gateway = await kit.node(first(1, 503, 'Shutdown'));
  const { submit, observed } = kit.open(gateway.port);
  expect((await submit({ count: 1 }).settled()).sums).toEqual({ retryable: 1 });
  expect((await submit({ count: 1 }).settled()).sums).toEqual({ proved: 1 });
  expect(observed.ends).toEqual(['error-response']);
  expect(gateway.requests.map(({ session }) => session)).toEqual([1, 2]);
});

describe('trouble with the credential', () => {
  test('pauses, hands everything back, and asks now and then with what can reach no device', async ({
    kit,
  }) => {
    let isRefused = true;
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (isRefused) refuse(stream, 403, { reason: 'InvalidProviderToken' });
        else if (request.body === '') refuse(stream, 400, { reason: 'BadDeviceToken' });
        else accept(stream, request);
      },
    });
    const { submit, transport, observed } = kit.open(gateway.port, { pauseProbeMs: 40 });
    const run = await submit({ count: 30 }).settled();
    expect(run.sums).toEqual({ unprocessed: 30 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: 'InvalidProviderToken' });
    expect(transport.room).toBe(0);
    expect((await submit({ count: 3 }).settled()).sums).toEqual({ unprocessed: 3 });
    const probes = () => gateway.requests.filter(({ body }) => body === '');
    await expect.poll(() => probes().length).toBeGreaterThan(1);
    expect(transport.state).toMatchObject({ kind: 'paused' });
    isRefused = false;
    await expect.poll(() => transport.state.kind).toBe('open');
    expect(probes().at(-1)?.headers).toMatchObject({
      ':path': `/3/device/${'00'.repeat(32)}`,
      'apns-priority': '5',
    });
    expect((await submit({ count: 30 }).settled()).sums).toEqual({ proved: 30 });
    expect(observed.states.map(({ kind }) => kind).filter((kind) => kind === 'paused')).toHaveLength(1);
  });

  test('a renewed token is tried at once', async ({ kit }) => {
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (request.headers.authorization === 'bearer good') accept(stream, request);
        else refuse(stream, 403, { reason: 'InvalidProviderToken' });
      },
    });
    const tokens = new TestTokens('bad');
    const { submit, transport } = kit.open(gateway.port, {
      authentication: { kind: 'token', tokens },
      pauseProbeMs: 600_000,
    });
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ unprocessed: 2 });
    tokens.renew('good');
    await expect.poll(() => transport.state.kind).toBe('open');
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ proved: 2 });
  });

  test('an expired token is signed anew, and the notification sent again on a new connection', async ({
    kit,
  }) => {
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (request.headers.authorization === 'bearer fresh') accept(stream, request);
        else refuse(stream, 403, { reason: 'ExpiredProviderToken' });
      },
    });
    class Renewing extends TestTokens {
      override async expired(jwt: string): Promise<boolean> {
        await super.expired(jwt);
        this.renew('fresh');
        return true;
      }
    }
    const tokens = new Renewing('stale');
    const { submit } = kit.open(gateway.port, { authentication: { kind: 'token', tokens } });
    expect((await submit({ count: 50 }).settled()).sums).toEqual({ proved: 50 });
    expect(tokens.calls).toEqual(['expired stale']);
    expect(gateway.sessions).toHaveLength(2);
    expect(gateway.requests.filter(({ session }) => session === 1)).toHaveLength(1);
  });

  test('an invalid token that another worker signed is replaced once, without a pause', async ({ kit }) => {
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (request.headers.authorization === 'bearer own') accept(stream, request);
        else refuse(stream, 403, { reason: 'InvalidProviderToken' });
      },
    });
    class Replacing extends TestTokens {
      async refused(jwt: string): Promise<boolean> {
        this.calls.push(`refused ${jwt}`);
        this.renew('own');
        return true;
      }
    }
    const tokens = new Replacing("another's");
    const { submit, observed } = kit.open(gateway.port, { authentication: { kind: 'token', tokens } });
    expect((await submit({ count: 50 }).settled()).sums).toEqual({ proved: 50 });
    expect(tokens.calls).toEqual(["refused another's"]);
    expect(observed.states.map(({ kind }) => kind)).not.toContain('paused');
  });

  test('a key that cannot be used is trouble of this worker', async ({ kit }) => {
    const gateway = await kit.node();
    class Unusable extends TestTokens {
      override async refresh(): Promise<void> {
        throw Object.assign(new Error('no provider key'), { name: 'CredentialError' });
      }
    }
    const { submit, transport } = kit.open(gateway.port, {
      authentication: { kind: 'token', tokens: new Unusable() },
    });
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ unprocessed: 2 });
    expect(transport.state).toMatchObject({ kind: 'paused', about: 'worker' });
  });

  test('a hold that the fleet has begun earlier ends for all at the same time', async ({ kit }) => {
    const gateway = await kit.node(first(2, 429, 'TooManyProviderTokenUpdates'));
    class Shared extends TestTokens {
      async hold(ms: number): Promise<number> {
        this.calls.push(`hold ${ms}`);
        return 50;
      }
    }
    const tokens = new Shared('a.b.c');
    const { submit, transport } = kit.open(gateway.port, {
      authentication: { kind: 'token', tokens },
      tokenUpdatePauseMs: 600_000,
      pauseProbeMs: 1,
    });
    expect((await submit({ count: 4 }).settled()).sums).toEqual({ unprocessed: 4 });
    expect(transport.state).toMatchObject({ kind: 'paused', isHold: true });
    await expect.poll(() => transport.state.kind).toBe('open');
    expect(tokens.calls).toContain('hold 600000');
  });

  test('a token that is expired however often it is signed pauses', async ({ kit }) => {
    const gateway = await kit.node(first(Number.POSITIVE_INFINITY, 403, 'ExpiredProviderToken'));
    const tokens = new TestTokens('stale');
    const { submit, transport } = kit.open(gateway.port, {
      authentication: { kind: 'token', tokens },
      pauseProbeMs: 600_000,
    });
    expect((await submit({ count: 5 }).settled()).sums).toEqual({ unprocessed: 5 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: 'ExpiredProviderToken' });
  });

  test('an unrelated key needs a new connection; on every one, it is the key', async ({ kit }) => {
    const once = await kit.node(first(1, 403, 'UnrelatedKeyIdInToken'));
    const good = kit.open(once.port);
    expect((await good.submit({ count: 20 }).settled()).sums).toEqual({ proved: 20 });
    expect(once.sessions).toHaveLength(2);
    const always = await kit.node(first(Number.POSITIVE_INFINITY, 403, 'UnrelatedKeyIdInToken'));
    const bad = kit.open(always.port, { pauseProbeMs: 600_000 });
    expect((await bad.submit({ count: 20 }).settled()).sums).toEqual({ unprocessed: 20 });
    expect(bad.transport.state).toMatchObject({ kind: 'paused', reason: 'UnrelatedKeyIdInToken' });
  });

  test('too many updates: the old token goes on where there is one', async ({ kit }) => {
    const gateway = await kit.node({
      answer: (stream, request) => {
        if (request.headers.authorization === 'bearer old') accept(stream, request);
        else refuse(stream, 429, { reason: 'TooManyProviderTokenUpdates' });
      },
    });
    class Returning extends TestTokens {
      override tooManyUpdates(jwt: string): void {
        super.tooManyUpdates(jwt);
        this.renew('old');
      }
    }
    const tokens = new Returning('new');
    const { submit, transport } = kit.open(gateway.port, { authentication: { kind: 'token', tokens } });
    expect((await submit({ count: 20 }).settled()).sums).toEqual({ proved: 20 });
    expect(tokens.calls).toEqual(['too many new']);
    expect(transport.state.kind).toBe('open');
  });

  test('too many updates, and no old token: a new connection is tried with the same one', async ({ kit }) => {
    const gateway = await kit.node(first(1, 429, 'TooManyProviderTokenUpdates'));
    const { submit, observed } = kit.open(gateway.port);
    expect((await submit({ count: 4 }).settled()).sums).toEqual({ proved: 4 });
    expect(gateway.sessions).toHaveLength(2);
    expect(observed.states.map(({ kind }) => kind)).not.toContain('paused');
  });

  test('too many updates on a new connection too: the gateway is left alone for 20 minutes', async ({
    kit,
  }) => {
    const gateway = await kit.node(first(2, 429, 'TooManyProviderTokenUpdates'));
    const { submit, transport } = kit.open(gateway.port, { tokenUpdatePauseMs: 60, pauseProbeMs: 1 });
    const startMs = Date.now();
    expect((await submit({ count: 4 }).settled()).sums).toEqual({ unprocessed: 4 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: 'TooManyProviderTokenUpdates' });
    await expect.poll(() => transport.state.kind).toBe('open');
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(55);
  });

  test('a hold ends when somebody wants to know: the gateway is asked at once, and what it says is noted', async ({
    kit,
  }) => {
    const gateway = await kit.node(first(3, 429, 'TooManyProviderTokenUpdates'));
    const { submit, transport } = kit.open(gateway.port, { tokenUpdatePauseMs: 600_000 });
    expect((await submit({ count: 1 }).settled()).sums).toEqual({ unprocessed: 1 });
    const held = transport.state as Extract<TransportState, { kind: 'paused' }>;
    expect(held).toMatchObject({ kind: 'paused', isHold: true, untilMs: held.checkedAtMs + 600_000 });
    transport.probeNow();
    const heldAgain = { checkedAtMs: expect.any(Number), untilMs: expect.any(Number) };
    await expect.poll(() => transport.state).not.toEqual(held);
    await expect.poll(() => transport.state).toMatchObject({ ...held, ...heldAgain });
    transport.probeNow();
    await expect.poll(() => transport.state.kind).toBe('open');
    expect((await submit({ count: 4 }).settled()).sums).toEqual({ proved: 4 });
  });

  test('a certificate that the gateway refuses in the handshake pauses', async ({ kit }) => {
    const credential = {
      current: () => ({ cert: 'no certificate', key: 'no key' }),
      onChange: () => () => undefined,
    };
    const { submit, transport } = kit.open(1, { authentication: { kind: 'certificate', credential } });
    expect(transport.state).toMatchObject({ kind: 'paused' });
    expect((await submit({ count: 1 }).settled()).sums).toEqual({ unprocessed: 1 });
  });

  test('a connection that allows no probe does not keep the transport paused', async ({ kit }) => {
    const server = await kit.frames({
      // The second, which is for the probe.
      settingsOf: (number) => [[SettingId.maxConcurrentStreams, number === 2 ? 0 : 10]],
      frame: (frame, connection) => {
        if (!isComplete(frame)) return;
        if (connection.number > 1) connection.write(ok(frame.streamId));
        else connection.write(encodeGoAway(0, 0, '{"reason":"BadCertificate"}'));
      },
    });
    const { submit, transport } = kit.open(server.port, { pauseProbeMs: 20, streamTimeoutMs: 60 });
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ unprocessed: 2 });
    await expect.poll(() => transport.state.kind, { timeout: 10_000 }).toBe('open');
    expect((await submit({ count: 2 }).settled()).sums).toEqual({ proved: 2 });
  });

  test('a GOAWAY that names the certificate pauses', async ({ kit }) => {
    const server = await kit.frames({
      frame: (_, { socket }) => socket.write(encodeGoAway(0, 0, '{"reason":"BadCertificateEnvironment"}')),
    });
    const { submit, transport } = kit.open(server.port, { pauseProbeMs: 600_000 });
    const run = await submit({ count: 5 }).settled();
    expect(run.sums).toEqual({ unprocessed: 5 });
    expect(transport.state).toMatchObject({ kind: 'paused', reason: 'BadCertificateEnvironment' });
  });
});
