import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultRetention, migrate, openTokenStore, rolesFile, type TokenStore } from '../src/index.ts';
import { newApp, newEntry, newToken, useTestStore } from './test-store.ts';

// docs/database.md says which rights the services need: its statements are run here, and the services' work with them.

const context = useTestStore();
const page = readFileSync(new URL('../../../docs/database.md', import.meta.url), 'utf8');
// Roles belong to the whole server, which other tests share.
const suffix = randomUUID().slice(0, 8);
const roles = { producer: `pushfleet_producer_${suffix}`, sweeper: `pushfleet_sweeper_${suffix}` };
const stores: Partial<Record<keyof typeof roles, TokenStore>> = {};

const urlOf = (role: keyof typeof roles) => {
  const url = new URL(context.url);
  url.username = roles[role];
  url.password = 'change me';
  return url.href;
};

beforeAll(async () => {
  const block = /```sql\n(-- Roles are made once[\s\S]*?)```/.exec(page)![1]!;
  await context.sql(
    block.replaceAll(/pushfleet_(producer|sweeper)\b/g, (_, role: keyof typeof roles) => roles[role]),
  );
  for (const role of ['producer', 'sweeper'] as const)
    stores[role] = openTokenStore({ connectionString: urlOf(role) });
});

afterAll(async () => {
  await Promise.all(Object.values(stores).map((store) => store.close()));
  for (const role of Object.values(roles)) await context.sql(`drop owned by ${role}; drop role ${role}`);
});

test('the page shows the statements that pushfleet migrate --grant runs', () => {
  expect(page).toContain(`\`\`\`sql\n${readFileSync(rolesFile, 'utf8')}\`\`\``);
});

test('with nothing pending, the services start without the right to change the schema', async () => {
  expect(await migrate(urlOf('producer'))).toEqual([]);
  expect(await migrate(urlOf('sweeper'))).toEqual([]);
});

test('the producer can do its work, and cannot touch what became of batches', async () => {
  const { devices, batches, database } = stores.producer!;
  const [app, previousToken, token] = [newApp(), newToken(), newToken()];
  await devices.register(app, { token: previousToken });
  await devices.register(app, { token, previousToken, userId: 'ann' });
  expect((await devices.history(app, token)).map(({ kind }) => kind)).toEqual(['registered']);
  expect(await devices.unregister(app, token)).toBe(true);
  expect(await batches.find(randomUUID())).toBeUndefined();
  await database.query('update events set dispatched_at = now() where dispatched_at is null');
  const { change, auditLog } = stores.producer!;
  const key = await change(async ({ apiKeys }) => {
    const { key } = await apiKeys.create({ name: app, apps: null, scopes: ['send'] });
    return { value: key, entry: newEntry({ target: key.id }) };
  });
  await stores.producer!.apiKeys.noteUses(new Map([[key.id, new Date()]]));
  expect(await auditLog.list({ target: key.id, limit: 1 })).toHaveLength(1);
  for (const statement of [
    'delete from batches',
    'delete from events',
    'delete from device_changes',
    'delete from audit_log',
    `update audit_log set actor = 'somebody else'`,
    'create table x ()',
  ]) {
    await expect(database.query(statement)).rejects.toThrow(/permission denied/);
  }
});

test('the sweeper can do its work, and cannot make devices or read keys', async () => {
  const { devices } = stores.producer!;
  const { accounting, appCredentials, database, events, feedback, reports, retention } = stores.sweeper!;
  const [app, invalid, gone] = [newApp(), newToken(), newToken()];
  await devices.registerMany(
    app,
    [invalid, gone].map((token) => ({ token, registeredAt: new Date(0) })),
  );
  const result = await reports.apply([
    {
      v: 1,
      job: 'any',
      app,
      lane: 'bulk',
      batch: randomUUID(),
      batchSize: 1,
      firstIndex: 1,
      count: 1,
      enqueuedAtMs: 1_000,
      settledAtMs: 2_000,
      accepted: { proved: 0, presumed: 0 },
      resentUncertain: 0,
      exceptions: [
        {
          index: 1,
          token: invalid,
          outcome: 'rejected',
          reason: 'x',
          status: 8,
          tokenInvalid: true,
          atMs: 1,
        },
      ],
    },
  ]);
  expect(result.deactivated).toMatchObject([{ app, count: 1 }]);
  await reports.setAside([{ app, entry: '1-1', report: '', error: '' }]);
  const reading = (await feedback.openReading(app))!;
  await reading.append([{ timestamp: 1_300_000_000, token: Buffer.from(gone, 'hex') }]);
  await reading.finish({ result: 'complete' });
  await reading.close();
  await feedback.endInterrupted([app]);
  expect(await feedback.applyNextChunk()).toMatchObject({ counts: { deactivated: 1 } });
  await events.writeOnce({ app, kind: 'app.paused', payload: {}, key: app });
  await appCredentials.note(app, new Date(0));
  await accounting.store([], new Date());
  await accounting.read();
  expect(await accounting.inconsistentBatches()).toEqual([]);
  await retention.claim(0);
  await retention.run({
    policy: defaultRetention,
    signal: new AbortController().signal,
    onRemoved: () => undefined,
  });
  for (const statement of [
    'select * from api_keys',
    'select * from webhooks',
    `insert into devices (app) values ('x')`,
  ]) {
    await expect(database.query(statement)).rejects.toThrow(/permission denied/);
  }
});

test('no table is forgotten', async () => {
  const forgotten = await context.sql(
    `select c.relname as table from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and not exists (
       select from aclexplode(c.relacl) acl where acl.grantee = any(array[$1::regrole, $2::regrole]::oid[]))`,
    [roles.producer, roles.sweeper],
  );
  expect(forgotten).toEqual([]);
});
