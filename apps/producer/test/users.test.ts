import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const tokens = generateTokens({ count: 5, seed: 15 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
  for (const [place, userId] of ['anna', 'anna', 'bert', 'carl'].entries()) {
    await probe.call('PUT', `/v1/devices/${tokens[place]}`, { body: { app: 'shop', userId } });
  }
  await probe.call('DELETE', `/v1/devices/${tokens[3]}?app=shop`);
});
afterAll(async () => probe.close());

const send = (body: object, headers = {}) => probe.call('POST', '/v1/notifications', { body, headers });

test('a user stands for all of their devices', async () => {
  const { status, body } = await send({ app: 'shop', userId: 'anna', alert: 'x' });
  expect(status).toBe(202);
  expect(body.notificationIds).toHaveLength(2);
  const [job] = await probe.jobs('shop');
  const sent = Buffer.from(job!.tokens, 'base64').toString('hex');
  expect([sent.slice(0, 64), sent.slice(64)].toSorted()).toEqual(tokens.slice(0, 2).toSorted());
});

test('users and tokens may stand side by side, and users without devices are named', async () => {
  const { body } = await send({
    app: 'shop',
    defaults: { alert: 'x' },
    notifications: [{ userId: 'bert' }, { token: tokens[4] }, { userId: 'carl' }, { userId: 'nobody' }],
  });
  expect(body.notificationIds).toHaveLength(2);
  expect(body.usersWithoutDevices).toEqual(['carl', 'nobody']);
});

test('users of whom none has a device are a problem', async () => {
  expect(await send({ app: 'shop', userId: 'carl', alert: 'x' })).toMatchObject({
    status: 422,
    body: { code: 'no-devices' },
  });
});

test('a repeated key replays the answer although the devices have changed', async () => {
  const request = { app: 'shop', userId: 'bert', alert: 'x' };
  const key = { 'idempotency-key': 'bert-1' };
  const first = await send(request, key);
  await probe.call('DELETE', `/v1/devices/${tokens[2]}?app=shop`);
  const again = await send(request, key);
  expect(again.body).toEqual({ ...first.body, replayed: true });
  expect(again.headers['idempotency-replayed']).toBe('true');
  expect(await send({ ...request, alert: 'y' }, key)).toMatchObject({ status: 409 });
});

test.each<[name: string, target: object]>([
  ['both a user and a token', { userId: 'anna', token: tokens[0] }],
  ['a user that is no text', { userId: 7 }],
])('%s is refused', async (_name, target) => {
  const { status, body } = await send({ app: 'shop', alert: 'x', ...target });
  expect(status).toBe(400);
  expect(body).toMatchObject({
    code: 'invalid-notification',
    errors: [{ field: expect.stringMatching(/token|userId/) }],
  });
});

test('users with more devices than fit in a request are refused, and no more are read than that takes', async () => {
  const many = generateTokens({ count: 5_001, seed: 16 });
  const { devices } = probe.database.store;
  const registrations = many.map((token, place) => ({ token, userId: place < 3_000 ? 'dora' : 'emil' }));
  await devices.registerMany('news', registrations as never);
  const request = (...users: string[]) => ({
    app: 'news',
    defaults: { alert: 'x' },
    notifications: users.map((userId) => ({ userId })),
  });
  expect(await send(request('emil'))).toMatchObject({ status: 202 });
  for (const users of [['dora', 'emil'], ['dora', 'dora'], Array.from({ length: 5_000 }, () => 'dora')]) {
    expect(await send(request(...users))).toMatchObject({
      status: 400,
      body: { code: 'invalid-notification', errors: [{ field: 'userId' }] },
    });
  }
});
