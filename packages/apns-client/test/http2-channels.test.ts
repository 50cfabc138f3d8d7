import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSimulator } from '@pushfleet/testkit';
import { describe, expect } from 'vitest';
import { type ChannelClientOptions, createChannelClient } from '../src/index.ts';
import { type Http2Kit, TestTokens, test } from './http2-test.ts';
import { type GatewayRequest, type NodeGateway, refuse } from './node-gateway.ts';
import { TestCredential } from './test-credential.ts';

/** Apple's channel management and its broadcast path, in small. */
async function openChannelGateway(
  kit: Http2Kit,
): Promise<NodeGateway & { readonly channels: Map<string, number> }> {
  const channels = new Map<string, number>();
  const gateway = await kit.node({
    answer: (stream, { headers, body }: GatewayRequest) => {
      const route = `${headers[':method']} ${headers[':path']}`;
      const id = String(headers['apns-channel-id'] ?? '');
      const known = channels.has(id);
      switch (route) {
        case 'POST /1/apps/com.example.shop/channels': {
          const created = Buffer.from(`channel ${channels.size}`).toString('base64');
          channels.set(
            created,
            (JSON.parse(body) as { 'message-storage-policy': number })['message-storage-policy'],
          );
          stream.respond({ ':status': 201, 'apns-channel-id': created }, { endStream: true });
          return;
        }
        case 'GET /1/apps/com.example.shop/all-channels':
          refuse(stream, 200, { channels: [...channels.keys()] });
          return;
        case 'GET /1/apps/com.example.shop/channels':
          if (known)
            refuse(stream, 200, { 'message-storage-policy': channels.get(id), 'push-type': 'LiveActivity' });
          else refuse(stream, 404, { reason: 'ChannelNotRegistered' });
          return;
        case 'DELETE /1/apps/com.example.shop/channels':
          channels.delete(id);
          stream.respond({ ':status': 204 }, { endStream: true });
          return;
        case 'POST /4/broadcasts/apps/com.example.shop':
          if (known) stream.respond({ ':status': 200 }, { endStream: true });
          else refuse(stream, 429, { reason: 'TooManyRequests' }, { 'retry-after': '3' });
          return;
        default:
          refuse(stream, 404, { reason: 'BadPath' });
      }
    },
  });
  return { ...gateway, channels };
}

function clientOf(kit: Http2Kit, port: number, change: Partial<ChannelClientOptions> = {}) {
  return createChannelClient({
    manage: { host: 'localhost', port },
    send: { host: 'localhost', port },
    authentication: { kind: 'token', tokens: new TestTokens('a.b.c') },
    topic: 'com.example.shop',
    ca: kit.authority.certificatePem,
    ...change,
  });
}

test('a channel is created, read, listed, sent to and deleted', async ({ kit }) => {
  const gateway = await openChannelGateway(kit);
  const client = clientOf(kit, gateway.port);
  const first = await client.create('latest');
  const second = await client.create('none');
  expect(await client.list()).toEqual([first, second]);
  expect(await client.read(first)).toEqual({ storage: 'latest' });
  expect(await client.read(second)).toEqual({ storage: 'none' });
  const payload = '{"aps":{"timestamp":1,"event":"update","content-state":{"score":"1:0"}}}';
  const { requestId } = await client.send(first, { payload, expiration: 2_000_000_000, priority: 5 });
  const sent = gateway.requests.at(-1);
  expect(sent?.body).toBe(payload);
  expect(sent?.headers).toMatchObject({
    authorization: 'bearer a.b.c',
    'apns-channel-id': first,
    'apns-push-type': 'liveactivity',
    'apns-expiration': '2000000000',
    'apns-priority': '5',
    'apns-request-id': requestId,
  });
  await client.delete(first);
  expect(await client.list()).toEqual([second]);
  // One connection to each host, kept.
  expect(gateway.sessions).toHaveLength(2);
  client.close();
});

describe('what goes wrong is said', () => {
  test('APNs says no', async ({ kit }) => {
    const gateway = await openChannelGateway(kit);
    const client = clientOf(kit, gateway.port);
    await expect(client.read('bm9uZQ==')).rejects.toMatchObject({
      code: 'refused',
      status: 404,
      reason: 'ChannelNotRegistered',
    });
    await expect(client.send('bm9uZQ==', { payload: '{}' })).rejects.toMatchObject({
      code: 'refused',
      status: 429,
      retryAfterMs: 3_000,
    });
    client.close();
    await expect(client.list()).rejects.toMatchObject({ code: 'closed' });
  });

  test('what cannot be sent is not sent', async ({ kit }) => {
    const gateway = await openChannelGateway(kit);
    const client = clientOf(kit, gateway.port);
    await expect(client.read('a\nb')).rejects.toMatchObject({ code: 'request-invalid' });
    await expect(client.send('YQ==', { payload: 'x'.repeat(5_121) })).rejects.toMatchObject({
      code: 'request-invalid',
    });
    expect(gateway.requests).toEqual([]);
    client.close();
  });

  test('nobody answers, in time or at all', async ({ kit }) => {
    const silent = await kit.node({ answer: () => undefined });
    const waiting = clientOf(kit, silent.port, { timeoutMs: 100 });
    await expect(waiting.list()).rejects.toMatchObject({ code: 'timeout' });
    waiting.close();
    const proxy = await kit.proxy(silent.port);
    await proxy.disable();
    const refused = clientOf(kit, proxy.port);
    await expect(refused.list()).rejects.toMatchObject({ code: 'unreachable' });
    refused.close();
  });

  test('the answer makes no sense', async ({ kit }) => {
    const gateway = await kit.node({ answer: (stream) => refuse(stream, 200, {}) });
    const client = clientOf(kit, gateway.port);
    for (const call of [() => client.list(), () => client.read('YQ=='), () => client.create('none')]) {
      await expect(call()).rejects.toMatchObject({ code: 'answer-unreadable' });
    }
    client.close();
  });

  test('a connection that died is replaced by the next call', async ({ kit }) => {
    const gateway = await openChannelGateway(kit);
    const client = clientOf(kit, gateway.port);
    await client.list();
    gateway.sessions[0]?.destroy();
    await expect
      .poll(async () =>
        client.list().then(
          () => 'listed',
          () => 'failed',
        ),
      )
      .toBe('listed');
    client.close();
  });
});

test('calls that come together share a connection', async ({ kit }) => {
  const gateway = await openChannelGateway(kit);
  const client = clientOf(kit, gateway.port);
  await Promise.all(Array.from({ length: 5 }, async () => client.list()));
  expect(gateway.sessions).toHaveLength(1);
  client.close();
});

test('a connection outlives the deadline of the call that opened it', async ({ kit }) => {
  const gateway = await openChannelGateway(kit);
  const timeoutMs = 2_000;
  const client = clientOf(kit, gateway.port, { timeoutMs });
  await client.list();
  await once(AbortSignal.timeout(timeoutMs), 'abort');
  await client.list();
  expect(gateway.sessions).toHaveLength(1);
  client.close();
});

test('without a provider token nothing is sent', async ({ kit }) => {
  const gateway = await openChannelGateway(kit);
  const authentication = { kind: 'token', tokens: new TestTokens() } as const;
  const client = clientOf(kit, gateway.port, { authentication });
  await expect(client.list()).rejects.toMatchObject({ code: 'no-provider-token' });
  expect(gateway.sessions).toEqual([]);
  client.close();
});

test('an expired token is signed anew, once', async ({ kit }) => {
  const gateway = await kit.node({
    answer: (stream, { headers }) => {
      if (headers.authorization === 'bearer fresh') refuse(stream, 200, { channels: [] });
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
  const client = clientOf(kit, gateway.port, { authentication: { kind: 'token', tokens } });
  expect(await client.list()).toEqual([]);
  expect(tokens.calls).toEqual(['expired stale']);
  client.close();
});

test('the simulator understands every call', async () => {
  const simulator = await startSimulator();
  try {
    const read = async (name: string): Promise<string> => readFile(join(simulator.tlsDir, name), 'utf8');
    const [ca, cert, key] = await Promise.all([read('ca.pem'), read('client.pem'), read('client-key.pem')]);
    const endpoint = { host: 'localhost', port: simulator.http2Port };
    const client = createChannelClient({
      manage: endpoint,
      send: endpoint,
      authentication: { kind: 'certificate', credential: new TestCredential({ cert, key }) },
      topic: 'com.example.shop',
      ca,
    });
    const channelId = await client.create('latest');
    expect(await client.read(channelId)).toEqual({ storage: 'latest' });
    expect(await client.list()).toEqual([channelId]);
    const expiration = Math.floor(Date.now() / 1_000) + 60;
    const payload = '{"aps":{"timestamp":1,"event":"update","content-state":{"score":"1:0"}}}';
    await client.send(channelId, { payload, expiration });
    await client.delete(channelId);
    expect(await client.list()).toEqual([]);
    await expect(client.send(channelId, { payload })).rejects.toMatchObject({ code: 'refused' });
    client.close();
  } finally {
    await simulator.stop();
  }
});
