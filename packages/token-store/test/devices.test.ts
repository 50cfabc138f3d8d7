import { expect, test } from 'vitest';
import { type DeviceToken, defaultRetention } from '../src/index.ts';
import { newApp, newToken, useTestStore } from './test-store.ts';

const context = useTestStore();

test('a device is registered, refreshed and read', async () => {
  const { devices } = context.store;
  const [app, token] = [newApp(), newToken()];
  const first = await devices.register(app, {
    token,
    userId: 'ann',
    tags: ['news', 'news', 'sport'],
    locale: 'de',
  });
  expect(first).toEqual({ token, created: true, reactivated: false, moved: false, replaced: false });
  const before = (await devices.get(app, token))!;
  expect(before).toMatchObject({
    userId: 'ann',
    tags: ['news', 'sport'],
    locale: 'de',
    timeZone: null,
    active: true,
  });

  const again = await devices.register(app, { token, timeZone: 'Europe/Berlin', locale: null });
  expect(again).toMatchObject({ created: false, reactivated: false, moved: false });
  const after = (await devices.get(app, token))!;
  expect(after).toMatchObject({
    userId: 'ann',
    tags: ['news', 'sport'],
    locale: null,
    timeZone: 'Europe/Berlin',
  });
  expect(after.registeredAt.getTime()).toBeGreaterThanOrEqual(before.registeredAt.getTime());
  expect(after.createdAt).toEqual(before.createdAt);
  expect(await devices.get(newApp(), token)).toBeUndefined();
});

test('a launch that changes nothing leaves no line in the history', async () => {
  const { devices } = context.store;
  const [app, token] = [newApp(), newToken()];
  for (let launch = 0; launch < 3; launch++)
    await devices.register(app, { token, userId: 'ann', tags: ['a'] });
  await devices.register(app, { token, tags: ['b'] });
  expect((await devices.history(app, token)).map(({ kind }) => kind)).toEqual(['updated', 'registered']);
});

test('a token that another user registers moves to that user', async () => {
  const { devices } = context.store;
  const [app, token] = [newApp(), newToken()];
  await devices.register(app, { token, userId: 'ann' });
  expect(await devices.register(app, { token, userId: 'ben' })).toMatchObject({
    created: false,
    moved: true,
  });
  expect(await devices.findTokensOfUsers(app, ['ann', 'ben'], 10)).toEqual([{ userId: 'ben', token }]);
  expect(await devices.findTokensOfUsers(app, ['ann', 'ben'], 0)).toEqual([]);
  expect((await devices.history(app, token))[0]).toMatchObject({
    kind: 'moved',
    detail: { fromUser: 'ann', toUser: 'ben' },
  });
});

test('a new token takes the place of the previous one, and what was known of it', async () => {
  const { devices } = context.store;
  const [app, previousToken, token] = [newApp(), newToken(), newToken()];
  await devices.register(app, { token: previousToken, userId: 'ann', tags: ['a'], locale: 'fr' });
  const { createdAt } = (await devices.get(app, previousToken))!;
  const result = await devices.register(app, { token, previousToken, locale: 'en' });
  expect(result).toMatchObject({ created: true, replaced: true });
  expect(await devices.get(app, previousToken)).toBeUndefined();
  expect(await devices.get(app, token)).toMatchObject({
    userId: 'ann',
    tags: ['a'],
    locale: 'en',
    createdAt,
  });
  expect((await devices.history(app, previousToken))[0]).toMatchObject({
    kind: 'replaced',
    detail: { by: token },
  });
  // The call again, as after a lost answer.
  expect(await devices.register(app, { token, previousToken })).toMatchObject({
    created: false,
    replaced: false,
  });
  // Nonsense that clients send.
  expect(await devices.register(app, { token, previousToken: token })).toMatchObject({ replaced: false });
  expect(await devices.get(app, token)).toBeDefined();
});

test('many are registered in one statement; the last of a token that comes twice counts', async () => {
  const { devices } = context.store;
  const app = newApp();
  const tokens = Array.from({ length: 500 }, newToken);
  const twice = [...tokens, ...tokens].map((token, place) => ({ token, userId: `user-${place}` }));
  const results = await devices.registerMany(app, twice);
  expect(results).toHaveLength(500);
  expect(results.every(({ created }) => created)).toBe(true);
  expect(await devices.get(app, tokens[7]!)).toMatchObject({ userId: 'user-507' });
});

test('registrations of the same devices at once do not lock each other out', async () => {
  const { devices } = context.store;
  const app = newApp();
  const tokens = Array.from({ length: 200 }, newToken);
  const runs = Array.from({ length: 8 }, (_, run) =>
    devices.registerMany(
      app,
      (run % 2 === 0 ? tokens : tokens.toReversed()).map((token) => ({ token, userId: `user-${run}` })),
    ),
  );
  const results = (await Promise.all(runs)).flat();
  expect(results.filter(({ created }) => created)).toHaveLength(200);
});

test('a device and all devices of a user are removed at their wish', async () => {
  const { devices } = context.store;
  const app = newApp();
  const [one, two, three] = [newToken(), newToken(), newToken()];
  await devices.registerMany(
    app,
    [one, two, three].map((token) => ({ token, userId: 'ann' })),
  );
  expect(await devices.unregister(app, one)).toBe(true);
  expect(await devices.unregister(app, one)).toBe(false);
  expect(await devices.unregister(app, three)).toBe(true);
  expect(await devices.get(app, one)).toBeUndefined();
  expect(await devices.get(app, two)).toMatchObject({ token: two });
  expect((await devices.history(app, three)).map(({ kind }) => kind)).toEqual(['unregistered', 'registered']);
});

test('an imported registration of old does not bring back what went away after it', async () => {
  const { devices } = context.store;
  const [app, token] = [newApp(), newToken()];
  await devices.register(app, { token, registeredAt: new Date('2026-01-01T00:00:00Z') });
  await context.sql(
    `update devices set active = false, deactivated_at = now(), deactivated_source = 'feedback',
       evidence_at = '2026-02-01T00:00:00Z' where app = $1`,
    [app],
  );
  await devices.register(app, { token, registeredAt: new Date('2026-01-15T00:00:00Z') });
  expect(await devices.get(app, token)).toMatchObject({
    active: false,
    registeredAt: new Date('2026-01-15T00:00:00Z'),
    deactivation: { source: 'feedback', evidenceAt: new Date('2026-02-01T00:00:00Z') },
  });
  const back = await devices.register(app, { token, registeredAt: new Date('2026-02-01T00:00:00Z') });
  expect(back.reactivated).toBe(true);
  expect(await devices.get(app, token)).toMatchObject({ active: true, deactivation: null });
});

test.each<[how: string, go: (app: string, token: DeviceToken) => Promise<unknown>, kind: string]>([
  ['is removed at its wish', (app, token) => context.store.devices.unregister(app, token), 'unregistered'],
  [
    'is replaced by another token',
    (app, previousToken) => context.store.devices.register(app, { token: newToken(), previousToken }),
    'replaced',
  ],
  [
    'has been inactive for long',
    async (app, token) => {
      await context.sql(
        `update devices set active = false, deactivated_at = '2020-01-01', deactivated_source = 'feedback',
           evidence_at = '2020-01-01' where app = $1 and token = $2`,
        [app, Buffer.from(token, 'hex')],
      );
      await context.store.retention.run({
        policy: defaultRetention,
        onRemoved: () => undefined,
        signal: new AbortController().signal,
      });
    },
    'removed',
  ],
])('a device that %s leaves no user in its history', async (_how, go, kind) => {
  const { devices } = context.store;
  const [app, token] = [newApp(), newToken()];
  for (const userId of ['ann', 'ben', null]) await devices.register(app, { token, userId });
  await go(app, token);
  expect(await devices.get(app, token)).toBeUndefined();
  const history = await devices.history(app, token);
  expect(history.map((change) => change.kind)).toEqual([kind, 'moved', 'moved', 'registered']);
  expect(JSON.stringify(history)).not.toMatch(/ann|ben|User/);
});
