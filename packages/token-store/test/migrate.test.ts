import { randomUUID } from 'node:crypto';
import { createTestDatabase, type TestDatabase } from '@pushfleet/testkit';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { migrate, openTokenStore, TokenStoreError } from '../src/index.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
});
afterEach(() => database.drop());

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/** Everything that migrations make, as text to compare. */
const schemaSql = `
  select table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
  as line from information_schema.columns where table_schema = 'public'
  union all select indexdef from pg_indexes where schemaname = 'public'
  union all select viewname || ' ' || definition from pg_views where schemaname = 'public'
  order by line`;

test('from empty, then nothing is left to do', async () => {
  const names = await migrate(database.url);
  expect(names.slice(0, 4)).toEqual(['0001_devices', '0002_batches', '0003_feedback', '0004_events']);
  expect(await migrate(database.url)).toEqual([]);
});

test('from each earlier version the schema becomes the same', async () => {
  const names = await migrate(database.url);
  const expected = await query(schemaSql);
  for (let version = 1; version < names.length; version++) {
    await database.drop();
    database = await createTestDatabase(inject('databaseUrl'));
    expect(await migrate(database.url, { count: version })).toEqual(names.slice(0, version));
    expect(await migrate(database.url)).toEqual(names.slice(version));
    expect(await query(schemaSql)).toEqual(expected);
  }
}, 120_000);

test('processes that start at once migrate once', async () => {
  const runs = await Promise.all(Array.from({ length: 5 }, () => migrate(database.url)));
  expect(runs.filter((names) => names.length > 0)).toHaveLength(1);
  const [count] = await query('select count(*)::integer as n from pushfleet_migrations');
  expect(count).toEqual({ n: runs.flat().length });
});

test('an older version starts beside a newer one', async () => {
  await migrate(database.url);
  await query(`insert into pushfleet_migrations (name, run_on) values ('0050_of_the_future', now())`);
  expect(await migrate(database.url)).toEqual([]);
});

test('a migration that fails leaves nothing behind, and says what is wrong', async () => {
  await query('create table batches (id integer)');
  await expect(migrate(database.url)).rejects.toThrow(/cannot be migrated.*"batches" already exists/s);
  expect(
    await query(`select tablename from pg_tables where schemaname = 'public' order by tablename`),
  ).toEqual([{ tablename: 'batches' }, { tablename: 'pushfleet_migrations' }]);
});

test('a database that is not there is told as such', async () => {
  const url = new URL(database.url);
  url.port = '1';
  const error = await migrate(url.href).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TokenStoreError);
  expect(error).toMatchObject({ code: 'unavailable' });
});

test.each([
  ['a role that is not there', { username: 'nobody_of_this_name' }],
  ['a database that is not there', { pathname: '/no_database_of_this_name' }],
])('%s may be there later', async (_, change) => {
  const url = Object.assign(new URL(database.url), change);
  await expect(migrate(url.href)).rejects.toMatchObject({ code: 'access-denied', isTransient: true });
});

test('a right that is missing is named', async () => {
  const role = `migrate_test_${randomUUID().slice(0, 8)}`;
  await query(`create role ${role} login password 'x'`);
  try {
    const url = Object.assign(new URL(database.url), { username: role, password: 'x' });
    await expect(migrate(url.href)).rejects.toThrow(/cannot be migrated.*permission denied for schema/s);
  } finally {
    await query(`drop role ${role}`);
  }
});

test('a schema that is missing is told as such', async () => {
  const store = openTokenStore({ connectionString: database.url });
  await expect(store.devices.findTokensOfUsers('shop', ['ann'], 10)).rejects.toMatchObject({
    code: 'schema-outdated',
  });
  await store.close();
});
