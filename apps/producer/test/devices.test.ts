import { generateTokens } from '@pushfleet/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openProducer, type ProducerProbe } from './producer-probe.ts';

const [token = '', newToken = '', unknownToken = ''] = generateTokens({ count: 3, seed: 12 });
let probe: ProducerProbe;
beforeAll(async () => {
  probe = await openProducer();
});
afterAll(async () => probe.close());

const call = (method: 'PUT' | 'GET' | 'DELETE', url: string, body?: unknown) =>
  probe.call(method, url, body === undefined ? {} : { body });

test('a device is registered, refreshed, moved to another user, shown and removed', async () => {
  const registration = { app: 'shop', userId: 'anna', tags: ['vip', 'de'], locale: 'de-DE' };
  const first = await call('PUT', `/v1/devices/${token.toUpperCase()}`, registration);
  expect(first).toMatchObject({
    status: 201,
    body: { token, created: true, reactivated: false, moved: false, replaced: false },
  });
  const again = await call('PUT', `/v1/devices/${token}`, {
    app: 'shop',
    userId: 'bert',
    timeZone: 'Europe/Berlin',
  });
  expect(again).toMatchObject({ status: 200, body: { created: false, moved: true } });
  const shown = await call('GET', `/v1/devices/${token}?app=shop`);
  expect(shown).toMatchObject({
    status: 200,
    body: {
      app: 'shop',
      token,
      userId: 'bert',
      tags: ['vip', 'de'],
      locale: 'de-DE',
      timeZone: 'Europe/Berlin',
      active: true,
      deactivation: null,
    },
  });
  expect(await call('GET', `/v1/devices/${token}?app=news`)).toMatchObject({
    status: 404,
    body: { code: 'unknown-device' },
  });
  expect(await call('DELETE', `/v1/devices/${token}?app=shop`)).toMatchObject({ status: 204, text: '' });
  expect(await call('DELETE', `/v1/devices/${token}?app=shop`)).toMatchObject({ status: 404 });
});

test('a token that replaces another takes over what is known of it', async () => {
  await call('PUT', `/v1/devices/${token}`, { app: 'shop', userId: 'anna', tags: ['vip'] });
  const replaced = await call('PUT', `/v1/devices/${newToken}`, { app: 'shop', previousToken: token });
  expect(replaced.body).toMatchObject({ token: newToken, created: true, replaced: true });
  const shown = await call('GET', `/v1/devices/${newToken}?app=shop`);
  expect(shown.body).toMatchObject({ userId: 'anna', tags: ['vip'] });
  expect(await call('GET', `/v1/devices/${token}?app=shop`)).toMatchObject({ status: 404 });
});

test.each<[name: string, method: 'PUT' | 'GET', url: string, body: unknown, code: string, fields: string[]]>([
  ['a token that is none', 'GET', '/v1/devices/zz?app=shop', undefined, 'invalid-request', ['token']],
  ['no app', 'GET', `/v1/devices/${token}`, undefined, 'invalid-request', ['app']],
  ['an app that there is not', 'GET', `/v1/devices/${token}?app=gone`, undefined, 'unknown-app', ['app']],
  ['no body', 'PUT', `/v1/devices/${token}`, undefined, 'invalid-request', ['body']],
  [
    'faults all over',
    'PUT',
    `/v1/devices/${token}`,
    {
      app: 'shop',
      tags: 'vip',
      locale: '?',
      timeZone: 'Mars/Olympus',
      userId: '',
      previousToken: 'zz',
      x: 1,
    },
    'invalid-request',
    ['tags', 'locale', 'timeZone', 'userId', 'previousToken', 'x'],
  ],
  [
    'text that Postgres does not take',
    'PUT',
    `/v1/devices/${token}`,
    { app: 'shop', tags: ['a\u0000b'], userId: '\ud800' },
    'invalid-request',
    ['tags[0]', 'userId'],
  ],
])('%s is refused, and every field is named', async (_name, method, url, body, code, fields) => {
  const answer = await call(method, url, body);
  expect(answer.body.code).toBe(code);
  const named = answer.body.errors.map(({ field }: { field: string }) => field);
  expect(named.toSorted()).toEqual(fields.toSorted());
});

test('a device that is unknown is a problem that does not hold its token', async () => {
  const answer = await call('GET', `/v1/devices/${unknownToken}?app=shop`);
  expect(answer).toMatchObject({ status: 404, body: { code: 'unknown-device' } });
  expect(JSON.stringify(answer.body)).not.toContain(unknownToken);
});

test('the devices of a user are listed page by page, inactive ones too', async () => {
  const mine = generateTokens({ count: 5, seed: 15 }).toSorted();
  for (const each of mine) await call('PUT', `/v1/devices/${each}`, { app: 'shop', userId: 'carla' });
  await call('PUT', `/v1/devices/${newToken}`, { app: 'shop', userId: 'dora' });
  await call('PUT', `/v1/devices/${unknownToken}`, { app: 'news', userId: 'carla' });
  await probe.database.store.database.query(
    `update devices set active = false, deactivated_at = now(), deactivated_source = 'feedback', evidence_at = now()
     where app = 'shop' and token = $1`,
    [Buffer.from(mine[1]!, 'hex')],
  );
  const url = '/v1/devices?app=shop&userId=carla';
  const all = (await call('GET', url)).body;
  expect(all.devices.map((device: { token: string }) => device.token)).toEqual(mine);
  expect(all.devices.map((device: { active: boolean }) => device.active)).toEqual([
    true,
    false,
    true,
    true,
    true,
  ]);
  expect(all.next).toBeNull();
  const first = (await call('GET', `${url}&limit=2`)).body;
  expect(first).toMatchObject({ devices: [{ token: mine[0] }, { token: mine[1] }], next: mine[1] });
  const rest = (await call('GET', `${url}&limit=3&after=${first.next}`)).body;
  expect(rest).toMatchObject({ devices: mine.slice(2).map((each) => ({ token: each })), next: null });
  expect((await call('GET', '/v1/devices?app=shop&userId=nobody')).body).toEqual({ devices: [], next: null });
  expect(await call('GET', '/v1/devices?app=shop')).toMatchObject({ status: 400 });
});
