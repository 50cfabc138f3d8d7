import { createTestDatabase } from '@pushfleet/testkit';
import { expect, inject, onTestFinished, test } from 'vitest';
import { apiKeyId, hashApiKey, migrate, openTokenStore } from '../src/index.ts';
import { newApp, useTestStore } from './test-store.ts';

const context = useTestStore();
const hourMs = 3_600_000;
const inMs = (ms: number) => new Date(Date.now() + ms);
const newKey = (name: string, expiresAt?: Date) => ({
  name,
  apps: null,
  scopes: ['send'] as const,
  expiresAt,
});

test('a name is free again once its key is revoked, or has expired', async () => {
  const { apiKeys } = context.store;
  const name = newApp();
  const first = await apiKeys.create(newKey(name, inMs(hourMs)));
  await expect(apiKeys.create(newKey(name))).rejects.toMatchObject({ code: 'name-taken' });
  await context.sql('update api_keys set expires_at = now() where id = $1', [first.key.id]);
  expect(await apiKeys.find(name)).toBeUndefined();
  expect(await apiKeys.revoke(name)).toBe(false);
  const second = await apiKeys.create(newKey(name));
  expect(await apiKeys.revoke(second.key.id.toUpperCase())).toBe(true);
  await apiKeys.create(newKey(name));
  const all = (await apiKeys.list()).filter((key) => key.name === name);
  expect(all.map(({ revokedAt }) => revokedAt === null)).toEqual([true, false, false]);
});

test('a key is rotated under its name and id, and its old secret is good for a while', async () => {
  const { apiKeys } = context.store;
  const name = newApp();
  const first = await apiKeys.create(newKey(name, inMs(hourMs)));
  const second = (await apiKeys.rotate(first.key.id, { previousUntil: inMs(60_000) }))!;
  expect(apiKeyId(second.text)).toBe(first.key.id);
  expect(second.key).toMatchObject({ name, expiresAt: first.key.expiresAt, hash: hashApiKey(second.text) });
  expect(second.key.previousHash).toEqual(hashApiKey(first.text));
  // Never longer than it would have been.
  const third = (await apiKeys.rotate(first.key.id, {
    previousUntil: inMs(2 * hourMs),
    expiresAt: inMs(9 * hourMs),
  }))!;
  expect(third.key.previousHash).toEqual(hashApiKey(second.text));
  expect(third.key.previousUntil).toEqual(first.key.expiresAt);
  await apiKeys.revoke(name);
  expect(await apiKeys.rotate(first.key.id, { previousUntil: new Date() })).toBeUndefined();
});

test('keys are listed page by page, and those in force apart', async () => {
  const { apiKeys } = context.store;
  const names = Array.from({ length: 5 }, newApp);
  const made: string[] = [];
  for (const name of names) made.push((await apiKeys.create(newKey(name))).key.id);
  await apiKeys.revoke(names[0]!);
  const listed: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await apiKeys.list({ after, limit: 2 });
    listed.push(...page.map(({ id }) => id));
    if (page.length < 2) break;
    after = page.at(-1)!.id;
  }
  expect(listed.filter((id) => made.includes(id))).toEqual(made.toReversed());
  const inForce: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await apiKeys.inForce({ after, limit: 2 });
    inForce.push(...page.map(({ id }) => id));
    if (page.length < 2) break;
    after = page.at(-1)!.id;
  }
  expect(inForce.filter((id) => made.includes(id))).toEqual(made.slice(1).toSorted());
});

test('the last use only goes forward', async () => {
  const { apiKeys } = context.store;
  const { key } = await apiKeys.create(newKey(newApp()));
  const [late, early] = [new Date(2_000_000), new Date(1_000_000)];
  for (const at of [early, late, early]) await apiKeys.noteUses(new Map([[key.id, at]]));
  expect((await apiKeys.find(key.id))!.lastUsedAt).toEqual(late);
});

test('keys from before the scopes were split keep what they could', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  const store = openTokenStore({ connectionString: database.url });
  onTestFinished(async () => {
    await store.close();
    await database.drop();
  });
  const names = await migrate(context.url);
  expect(names).toEqual([]);
  const { rows } = await context.store.database.query<{ n: number }>(
    `select count(*)::integer as n from pushfleet_migrations where name < '0109'`,
  );
  await migrate(database.url, { count: rows[0]!.n });
  for (const scopes of [
    ['send'],
    ['read'],
    ['devices'],
    ['admin'],
    ['send', 'read', 'devices'],
    ['of-the-future'],
  ])
    await store.database.query(
      `insert into api_keys (id, name, hash, scopes) values ($1, $1, sha256('x'), $2)`,
      [scopes.join('+'), scopes],
    );
  await migrate(database.url);
  const after = await store.apiKeys.list();
  expect(Object.fromEntries(after.map(({ id, scopes }) => [id, scopes]))).toEqual({
    send: ['send', 'broadcast', 'cancel'],
    read: ['read', 'exceptions', 'tokens'],
    devices: ['devices', 'tokens'],
    admin: ['admin'],
    'send+read+devices': ['send', 'read', 'devices', 'broadcast', 'cancel', 'exceptions', 'tokens'],
    'of-the-future': ['of-the-future'],
  });
});
