import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';
import { createProviderKey, TestAuthority } from '@pushfleet/testkit/certificates';
import { afterAll, describe, expect } from 'vitest';
import type { Http2Answer, PushOptions } from './http2-client.ts';
import { bearer } from './provider-tokens.ts';
import { payload, removeCertificates, test, tokenOf } from './simulator-test.ts';

afterAll(removeCertificates);

const apnsId = '8a1b9e4c-1f0e-4d53-9d5b-0f6f7e0c6a11';

test('a sound push with a certificate is taken, and its id comes back', async ({ simulator }) => {
  const client = await simulator.connectHttp2();
  const answer = await client.push({ 'apns-id': apnsId });
  expect(answer).toMatchObject({ status: 200, body: '', headers: { 'apns-id': apnsId } });
  await client.close();
  expect(await simulator.control.ledger()).toMatchObject({
    ...{ received: 1, unique: 1, duplicates: 0, rejected: 0 },
    apps: { 'com.example.shop': { received: 1 } },
  });
});

test('a client that leaves during the handshake leaves nothing behind', async ({ simulator }) => {
  for (let client = 0; client < 3; client++) {
    const socket = connectTcp({ host: '127.0.0.1', port: simulator.http2Port });
    await once(socket, 'connect');
    socket.destroy();
  }
  await expect
    .poll(async () => (await simulator.control.connections()).http2, { timeout: 20_000 })
    .toMatchObject({ accepted: 3, handshakeFailed: 3, open: 0 });
});

test('a push without an id gets one', async ({ simulator }) => {
  const client = await simulator.connectHttp2();
  const { headers } = await client.push();
  expect(headers['apns-id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  await client.close();
});

test('a sound push with a provider token is taken for any topic of the team', async ({ simulator }) => {
  const client = await simulator.connectHttp2({
    identity: undefined,
    headers: bearer(simulator.providerKey),
  });
  expect(await client.push()).toMatchObject({ status: 200 });
  const voip = { 'apns-topic': 'com.example.other.voip', 'apns-push-type': 'voip' };
  expect(await client.push(voip)).toMatchObject({ status: 200 });
  await client.close();
  expect(await simulator.control.ledger()).toMatchObject({
    apps: { 'com.example.shop': { received: 1 }, 'com.example.other': { received: 1 } },
  });
});

test('both transports share the ledger: the same content is a duplicate on either', async ({ simulator }) => {
  const client = await simulator.connectHttp2();
  await client.pushAll(1, 3);
  await client.close();
  const binary = await simulator.connect();
  binary.send({ command: 2, token: tokenOf(2), payload, identifier: 1, expiration: 0, priority: 10 });
  await binary.close();
  expect(await simulator.control.ledger()).toMatchObject({ received: 4, unique: 3, duplicates: 1 });
});

test('the notifications are told one by one, with what HTTP/2 says of them', async ({ simulator }) => {
  const client = await simulator.connectHttp2();
  await client.push({
    ...{ 'apns-id': apnsId, 'apns-push-type': 'alert', 'apns-collapse-id': 'news' },
    ...{ 'apns-priority': '5', 'apns-expiration': '1700000000' },
  });
  await client.push({ 'apns-priority': '7' });
  await client.close();
  const told = [];
  for await (const each of simulator.control.notifications()) told.push(each);
  const common = {
    ...{ at: expect.any(Number), app: 'com.example.shop', transport: 'http2', connection: 1 },
    ...{ token: tokenOf(1).toString('hex'), payload: payload.toString() },
  };
  expect(told).toEqual([
    {
      ...{ ...common, sequence: 1, apnsId, expiration: 1_700_000_000, priority: 5 },
      headers: { 'apns-topic': 'com.example.shop', 'apns-push-type': 'alert', 'apns-collapse-id': 'news' },
      ...{ outcome: 'received', duplicate: false },
    },
    {
      ...{ ...common, sequence: 2, priority: 7, headers: { 'apns-topic': 'com.example.shop' } },
      ...{ outcome: 'rejected', status: 400, reason: 'BadPriority' },
    },
  ]);
});

describe('what is wrong with a request is answered with its reason', () => {
  const token = tokenOf(1).toString('hex');
  const wrong: [string, number, string, Record<string, string | string[] | undefined>, PushOptions?][] = [
    ['another path', 404, 'BadPath', {}, { path: '/4/device/aa' }],
    ['another method', 405, 'MethodNotAllowed', {}, { method: 'PUT' }],
    ['no token in the path', 400, 'MissingDeviceToken', {}, { path: '/3/device/' }],
    ['a token that is not hexadecimal', 400, 'BadDeviceToken', {}, { path: '/3/device/zz' }],
    ['half a byte in a token', 400, 'BadDeviceToken', {}, { path: `/3/device/${token}a` }],
    ['a token of 101 bytes', 400, 'BadDeviceToken', {}, { path: `/3/device/${'ab'.repeat(101)}` }],
    ['an empty payload', 400, 'PayloadEmpty', {}, { body: '' }],
    ['a payload over the limit', 413, 'PayloadTooLarge', {}, { body: Buffer.alloc(4_097, 0x20) }],
    ['a payload over all limits', 413, 'PayloadTooLarge', {}, { body: Buffer.alloc(200_000, 0x20) }],
    [
      ...(['a VoIP payload over its limit', 413, 'PayloadTooLarge'] as const),
      { 'apns-push-type': 'voip', 'apns-topic': 'com.example.shop.voip' },
      { body: Buffer.alloc(5_121, 0x20) },
    ],
    ['no topic where there are several', 400, 'MissingTopic', { 'apns-topic': undefined }],
    ['a topic that cannot be one', 400, 'BadTopic', { 'apns-topic': 'com example' }],
    ['a topic of another push type', 400, 'BadTopic', { 'apns-push-type': 'voip' }],
    ['a topic that is not covered', 400, 'TopicDisallowed', { 'apns-topic': 'com.example.other' }],
    [
      ...(['a location push with a certificate', 400, 'TopicDisallowed'] as const),
      { 'apns-push-type': 'location', 'apns-topic': 'com.example.shop.location-query' },
    ],
    ['a priority that does not exist', 400, 'BadPriority', { 'apns-priority': '7' }],
    [
      ...(['a background push with priority 10', 400, 'BadPriority'] as const),
      { 'apns-push-type': 'background', 'apns-priority': '10' },
    ],
    ['an expiration that is no number', 400, 'BadExpirationDate', { 'apns-expiration': 'tomorrow' }],
    ['a collapse id of 65 bytes', 400, 'BadCollapseId', { 'apns-collapse-id': 'x'.repeat(65) }],
    ['a push type that does not exist', 400, 'InvalidPushType', { 'apns-push-type': 'shout' }],
    ['an id that is no UUID', 400, 'BadMessageId', { 'apns-id': '42' }],
    ['a header given twice', 400, 'DuplicateHeaders', { 'apns-collapse-id': ['a', 'b'] }],
  ];
  test.for(wrong)('%s: %i %s', async ([, status, reason, headers, options], { simulator }) => {
    const client = await simulator.connectHttp2();
    expect(await client.push(headers, options)).toMatchObject({
      ...{ status, body: JSON.stringify({ reason }) },
      headers: { 'apns-id': expect.any(String) },
    });
    // The connection lives on.
    expect(await client.push()).toMatchObject({ status: 200 });
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 1, rejected: 1 });
  });

  test('what is at the limit is taken', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    const atLimit = await Promise.all([
      client.push({}, { body: Buffer.alloc(4_096, 0x20) }),
      client.push(
        { 'apns-push-type': 'voip', 'apns-topic': 'com.example.shop.voip' },
        { body: Buffer.alloc(5_120, 0x20) },
      ),
      client.push({ 'apns-collapse-id': 'x'.repeat(64), 'apns-expiration': '0', 'apns-priority': '1' }),
      client.push({ 'apns-push-type': 'background', 'apns-priority': '5' }),
    ]);
    expect(atLimit.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    await client.close();
  });
});

describe('who may send', () => {
  const refused = (answer: Http2Answer): unknown[] => [answer.status, answer.reason];

  test('nobody without certificate and token', async ({ simulator }) => {
    const client = await simulator.connectHttp2({ identity: undefined });
    expect(refused(await client.push())).toEqual([403, 'MissingProviderToken']);
    await client.close();
  });

  test('nobody with a certificate that nobody trusts', async ({ simulator }) => {
    const stranger = await TestAuthority.create();
    const foreign = await stranger.issueApnsCertificate({ topic: 'com.example.shop' });
    const client = await simulator.connectHttp2({
      identity: { cert: foreign.certificatePem, key: foreign.privateKeyPem },
    });
    expect(refused(await client.push())).toEqual([403, 'BadCertificate']);
    await client.close();
  });

  test('a certificate without a topic list is for its one topic, named or not', async ({ simulator }) => {
    const client = await simulator.connectHttp2({
      identity: await simulator.issue('one-topic', 'com.example.one'),
    });
    expect(refused(await client.push({ 'apns-topic': undefined }))).toEqual([400, 'MissingTopic']);
    expect(await client.push({ 'apns-topic': 'com.example.one' })).toMatchObject({ status: 200 });
    await client.close();
  });

  describe('at the production gateway', () => {
    test.override({ flags: ['--environment', 'production'] });

    test('no certificate for the sandbox', async ({ simulator }) => {
      const client = await simulator.connectHttp2({
        identity: await simulator.issue('sandboxed', 'com.example.shop', ['development']),
      });
      expect(refused(await client.push())).toEqual([403, 'BadCertificateEnvironment']);
      await client.close();
    });

    test('no token of a key for the sandbox', async ({ simulator }) => {
      const ids = { keyId: 'SANDBOXKEY', teamId: 'PUSHFLEET1' };
      const files = await simulator.control.addProviderKey('sandbox-key', { ...ids, environment: 'sandbox' });
      const p8 = await readFile(files.p8, 'utf8');
      const client = await simulator.connectHttp2({ identity: undefined, headers: bearer({ p8, ...ids }) });
      expect(refused(await client.push())).toEqual([403, 'BadEnvironmentKeyIdInToken']);
      await client.close();
    });
  });

  const nowMs = Date.now();
  const badTokens: [string, string, object][] = [
    ['a key that is not known', 'InvalidProviderToken', { keyId: 'UNKNOWNKEY' }],
    ['another team', 'InvalidProviderToken', { teamId: 'OTHERTEAM1' }],
    ['another key under a known id', 'InvalidProviderToken', { p8: createProviderKey().p8 }],
    ['another algorithm', 'InvalidProviderToken', { alg: 'HS256' }],
    ['the future', 'InvalidProviderToken', { issuedAtMs: nowMs + 600_000 }],
    ['more than an hour ago', 'ExpiredProviderToken', { issuedAtMs: nowMs - 3_700_000 }],
  ];
  test.for(badTokens)('no token of %s: %s', async ([, reason, change], { simulator }) => {
    const headers = bearer({ ...simulator.providerKey, ...change });
    const client = await simulator.connectHttp2({ identity: undefined, headers });
    expect(refused(await client.push())).toEqual([403, reason]);
    await client.close();
  });

  test.for(['Basic abc', 'bearer a b', 'bearer not.a.token', 'bearer a.b', 'bearer e30.e30.e30.e30'])(
    'no authorization "%s"',
    async (authorization, { simulator }) => {
      const client = await simulator.connectHttp2({ identity: undefined, headers: { authorization } });
      expect(refused(await client.push())).toEqual([403, 'InvalidProviderToken']);
      await client.close();
    },
  );

  test('no second token within 20 minutes; the first one stays good', async ({ simulator }) => {
    const issuedAtMs = Date.now() - 60_000;
    const [first, second] = [0, 1].map((seconds) =>
      bearer({ ...simulator.providerKey, issuedAtMs: issuedAtMs + 1_000 * seconds }),
    );
    const client = await simulator.connectHttp2({ identity: undefined });
    expect(await client.push(first)).toMatchObject({ status: 200 });
    expect(refused(await client.push(second))).toEqual([429, 'TooManyProviderTokenUpdates']);
    expect(await client.push(first)).toMatchObject({ status: 200 });
    await simulator.control.reset();
    expect(await client.push(second)).toMatchObject({ status: 200 });
    await client.close();
  });

  test('on one connection no token of a key that the first has nothing to do with', async ({ simulator }) => {
    const ids = { keyId: 'SECONDKEY1', teamId: simulator.providerKey.teamId };
    const files = await simulator.control.addProviderKey('second', ids);
    const second = bearer({ p8: await readFile(files.p8, 'utf8'), ...ids });
    const client = await simulator.connectHttp2({ identity: undefined });
    expect(await client.push(bearer(simulator.providerKey))).toMatchObject({ status: 200 });
    expect(refused(await client.push(second))).toEqual([403, 'UnrelatedKeyIdInToken']);
    const other = await simulator.connectHttp2({ identity: undefined });
    expect(await other.push(second)).toMatchObject({ status: 200 });
    await Promise.all([client.close(), other.close()]);
  });
});

describe('streams', () => {
  test.override({ flags: ['--one-stream-until-token', '--max-streams', '7'] });

  test('one until the first valid token, then as many as there may be', async ({ simulator }) => {
    const client = await simulator.connectHttp2({ identity: undefined });
    expect(client.streamLimits).toEqual([1]);
    await client.push();
    expect(client.streamLimits).toEqual([1]);
    const opened = new Promise((resolve) => client.session.once('remoteSettings', resolve));
    await client.push(bearer(simulator.providerKey));
    await opened;
    expect(client.streamLimits).toEqual([1, 7]);
    await client.close();
  });

  test('as many as there may be at once, with a certificate', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    expect(client.streamLimits).toEqual([7]);
    await client.close();
  });
});

describe('what is no HTTP/2', () => {
  test('ends its own connection, and nobody else hears of it', async ({ simulator }) => {
    const { ca, identity, http2Port: port } = simulator;
    const noise = [
      Buffer.from('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(4_096, 0xff)]),
      Buffer.alloc(100_000),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').subarray(0, 10),
    ];
    for (const ALPNProtocols of [['h2'], ['http/1.1'], undefined]) {
      for (const bytes of noise) {
        const socket = connect({
          port,
          host: '127.0.0.1',
          ca,
          ...identity,
          ...(ALPNProtocols && { ALPNProtocols }),
        });
        socket.on('error', () => undefined);
        socket.end(bytes);
        socket.resume();
        await new Promise((resolve) => socket.once('close', resolve));
      }
    }
    const client = await simulator.connectHttp2();
    expect(await client.push()).toMatchObject({ status: 200 });
    await client.close();
    expect(await simulator.control.ledger()).toMatchObject({ received: 1, rejected: 0 });
  });
});
