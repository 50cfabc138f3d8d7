import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = ''] = generateTokens({ count: 1, seed: 47 });
const longToken = 'ab'.repeat(300);
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

test('ids are found in either case', async () => {
  const sent = await probe.call('POST', '/v1/notifications', { body: { app: 'shop', token, alert: 'x' } });
  const id = sent.body.batchId.toUpperCase();
  expect((await probe.call('GET', `/v1/notifications/${id}`)).body.notificationId).toBe(sent.body.batchId);
  expect((await probe.call('GET', `/v1/batches/${id}`)).body.batchId).toBe(sent.body.batchId);
  expect((await probe.call('DELETE', `/v1/notifications/${id}`)).status).toBe(202);
  const started = await probe.call('POST', '/v1/broadcasts', {
    body: { app: 'shop', alert: 'x', audience: { all: true } },
  });
  const broadcast = await probe.call('GET', `/v1/broadcasts/${started.body.broadcastId.toUpperCase()}`);
  expect(broadcast.status).toBe(200);
});

test('a device token of 300 bytes is registered, read, sent to and removed', async () => {
  const url = `/v1/devices/${longToken}`;
  expect((await probe.call('PUT', url, { body: { app: 'shop', userId: 'long' } })).status).toBe(201);
  expect((await probe.call('GET', `${url}?app=shop`)).body.token).toBe(longToken);
  const sent = await probe.call('POST', '/v1/notifications', {
    body: { app: 'shop', userId: 'long', alert: 'x' },
  });
  expect(sent.status).toBe(202);
  expect((await probe.call('DELETE', `${url}?app=shop`)).status).toBe(204);
});

test('the name of a key that was revoked can be used again, and two in force cannot share one', async () => {
  const { apiKeys } = probe.database.store;
  const made = { name: 'orders', apps: null, scopes: ['send'] as const };
  await apiKeys.create(made);
  await expect(apiKeys.create(made)).rejects.toMatchObject({ code: 'name-taken' });
  expect(await apiKeys.revoke('orders')).toBe(true);
  const { key } = await apiKeys.create(made);
  expect((await apiKeys.list()).filter(({ name }) => name === 'orders')).toHaveLength(2);
  expect(await apiKeys.revoke(key.id)).toBe(true);
});

test.each<[string, object, string]>([
  ['a user with U+FFFD', { userId: 'jos\ufffd' }, 'userId'],
  ['a user with NUL', { userId: 'a\0b' }, 'userId'],
  ['a tag with half a character', { tags: ['\ud800'] }, 'tags[0]'],
  ['a locale that is none', { locale: 'en_US@rg=gbzzzz' }, 'locale'],
  ['a zone that is none', { timeZone: 'Europe/Berln' }, 'timeZone'],
])('%s is refused where it is registered', async (_name, wrong, field) => {
  const { status, body } = await probe.call('PUT', `/v1/devices/${token}`, {
    body: { app: 'shop', ...wrong },
  });
  expect(status).toBe(400);
  expect(body.errors[0].field).toBe(field);
});

test('a user who could not have been registered is refused in sends too', async () => {
  for (const userId of ['a\0b', 'jos\ufffd', '\ud800', '']) {
    const { status, body } = await probe.call('POST', '/v1/notifications', {
      body: { app: 'shop', userId, alert: 'x' },
    });
    expect({ status, field: body.errors[0].field }).toEqual({ status: 400, field: 'userId' });
  }
});
