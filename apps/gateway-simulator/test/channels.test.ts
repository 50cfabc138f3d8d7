import { afterAll, describe, expect } from 'vitest';
import type { Http2Client } from './http2-client.ts';
import { removeCertificates, test } from './simulator-test.ts';

afterAll(removeCertificates);

const app = '/1/apps/com.example.shop';
const broadcast = '/4/broadcasts/apps/com.example.shop';
const sound = { 'message-storage-policy': 1, 'push-type': 'LiveActivity' };
const none = { 'apns-topic': undefined };

async function create(client: Http2Client, body: unknown = sound) {
  return client.push(none, {
    path: `${app}/channels`,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function createChannel(client: Http2Client, storagePolicy = 1): Promise<string> {
  const { headers } = await create(client, { ...sound, 'message-storage-policy': storagePolicy });
  return String(headers['apns-channel-id']);
}

const about = async (client: Http2Client, method: string, id: string | undefined) =>
  client.push({ ...none, 'apns-channel-id': id }, { path: `${app}/channels`, method, body: '' });

const list = async (client: Http2Client) =>
  client.push(none, { path: `${app}/all-channels`, method: 'GET', body: '' });

test('channels are created, read, listed and deleted', async ({ simulator }) => {
  const client = await simulator.connectHttp2();
  const created = await client.push(
    { ...none, 'apns-request-id': '2288c014-1d4c-4e4b-9c4c-0c4b6d8a7e11' },
    { path: `${app}/channels`, body: JSON.stringify(sound) },
  );
  expect(created).toMatchObject({
    status: 201,
    headers: { 'apns-request-id': '2288c014-1d4c-4e4b-9c4c-0c4b6d8a7e11' },
  });
  const id = String(created.headers['apns-channel-id']);
  const read = await about(client, 'GET', id);
  expect([read.status, JSON.parse(read.body)]).toEqual([200, sound]);
  const other = await createChannel(client);
  expect(JSON.parse((await list(client)).body)).toEqual({ channels: [id, other] });
  expect(await about(client, 'DELETE', id)).toMatchObject({ status: 204, body: '' });
  expect(await about(client, 'GET', id)).toMatchObject({ status: 400, reason: 'ChannelNotRegistered' });
  expect(JSON.parse((await list(client)).body)).toEqual({ channels: [other] });
  await client.close();
  expect(await simulator.control.ledger()).toMatchObject({ received: 0, rejected: 0 });
});

test('a broadcast to a channel is taken, counted for the app and told with its channel', async ({
  simulator,
}) => {
  const client = await simulator.connectHttp2();
  const id = await createChannel(client);
  const headers = {
    'apns-channel-id': id,
    'apns-push-type': 'LiveActivity',
    'apns-expiration': '1700000000',
  };
  expect(await client.push({ ...none, ...headers }, { path: broadcast })).toMatchObject({ status: 200 });
  await client.close();
  expect(await simulator.control.ledger()).toMatchObject({
    received: 1,
    apps: { 'com.example.shop': { received: 1 } },
  });
  for await (const each of simulator.control.notifications()) {
    expect(each).toMatchObject({
      ...{ token: '', expiration: 1_700_000_000, outcome: 'received' },
      headers: { 'apns-channel-id': id, 'apns-push-type': 'LiveActivity' },
    });
  }
});

describe('what is wrong is answered with its reason', () => {
  test('with a channel', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    const reasons = [
      await create(client, 'no JSON'),
      await create(client, { 'push-type': 'LiveActivity' }),
      await create(client, { ...sound, 'push-type': 'alert' }),
      await about(client, 'GET', undefined),
      await about(client, 'GET', '!'),
      await about(client, 'DELETE', 'bm90IHRoZXJl'),
      await about(client, 'PATCH', 'bm90IHRoZXJl'),
      await client.push(none, { path: '/1/apps/com.example.other/all-channels', method: 'GET', body: '' }),
    ];
    expect(reasons.map(({ status, reason }) => [status, reason])).toEqual([
      [400, 'BadRequestPayload'],
      [400, 'BadRequestParams'],
      [400, 'InvalidPushType'],
      [400, 'MissingChannelId'],
      [400, 'BadChannelId'],
      [400, 'ChannelNotRegistered'],
      [405, 'MethodNotAllowed'],
      [403, 'TopicMismatch'],
    ]);
    await client.close();
  });

  test('with a broadcast', async ({ simulator }) => {
    const client = await simulator.connectHttp2();
    const id = await createChannel(client, 0);
    const send = async (headers: object, body = '{"aps":{}}', path = broadcast) =>
      client.push(
        { ...none, 'apns-channel-id': id, 'apns-push-type': 'liveactivity', ...headers },
        { path, body },
      );
    const reasons = [
      await send({}),
      await send({ 'apns-channel-id': undefined }),
      await send({ 'apns-channel-id': 'bm90IHRoZXJl' }),
      await send({ 'apns-push-type': undefined }),
      await send({ 'apns-push-type': 'alert' }),
      await send({ 'apns-expiration': '1700000000' }),
      await send({ 'apns-priority': '7' }),
      await send({}, ''),
      await send({}, ' '.repeat(5_121)),
      await send({}, '{}', '/4/broadcasts/apps/com.example.other'),
    ];
    expect(reasons.map(({ status, reason }) => reason ?? status)).toEqual([
      200,
      'MissingChannelId',
      'ChannelNotRegistered',
      'MissingPushType',
      'InvalidPushType',
      'BadExpirationDate',
      'BadPriority',
      'PayloadEmpty',
      'PayloadTooLarge',
      'TopicMismatch',
    ]);
    await client.close();
  });
});
