import { expect, test } from 'vitest';
import { defaultRetention } from '../src/index.ts';
import { newApp, newEntry, useTestStore } from './test-store.ts';

const context = useTestStore();
const dayMs = 86_400_000;

test('a change and its entry are written together, or neither', async () => {
  const { apiKeys, auditLog, change } = context.store;
  const [kept, lost] = [newApp(), newApp()];
  const make = (name: string, fails: boolean) =>
    change(async (stores) => {
      const { key } = await stores.apiKeys.create({ name, apps: null, scopes: ['send'] });
      if (fails) throw new Error('the process died here');
      return { value: key, entry: newEntry({ target: key.id, after: { name, scopes: ['send'] } }) };
    });
  const key = await make(kept, false);
  await expect(make(lost, true)).rejects.toThrow('died here');
  expect(await apiKeys.find(lost)).toBeUndefined();
  expect(await auditLog.list({ target: key.id, limit: 10 })).toMatchObject([
    {
      actor: { kind: 'cli', id: 'root@host', name: null },
      action: 'key.create',
      after: { name: kept, scopes: ['send'] },
      result: 'done',
    },
  ]);
  // Also when it is the entry that cannot be written.
  const refused = change(async ({ apiKeys: keys }) => {
    const { key: made } = await keys.create({ name: lost, apps: null, scopes: [] });
    return { value: made, entry: { ...newEntry(), id: 'no uuid' } };
  });
  await expect(refused).rejects.toMatchObject({ code: 'query-failed' });
  expect(await apiKeys.find(lost)).toBeUndefined();
});

test('what came of a change is added once, whatever comes when', async () => {
  const { auditLog } = context.store;
  const begun = newEntry({ action: 'app.pause', target: newApp() }, 'begun');
  const done = { ...begun, after: { paused: true }, result: 'done' as const };
  for (const entry of [begun, begun, done, begun, { ...begun, result: 'failed' as const }])
    await auditLog.write([entry]);
  expect(await auditLog.list({ target: begun.target!, limit: 10 })).toEqual([done]);
});

test('entries are found by app, actor, action, target and time, page by page, the newest first', async () => {
  const { auditLog } = context.store;
  const [app, other, target] = [newApp(), newApp(), newApp()];
  const nowMs = Date.now();
  const entries = Array.from({ length: 6 }, (_, age) => ({
    ...newEntry(
      { app: age === 5 ? other : app, action: age % 2 === 0 ? 'app.pause' : 'app.resume', target },
      'done',
      new Date(nowMs - age * 1_000),
    ),
    actor: { kind: 'key' as const, id: age === 0 ? 'aaaa' : 'bbbb', name: age === 0 ? 'ops' : null },
  }));
  await auditLog.write(entries);
  const found = async (query: object) =>
    (await auditLog.list({ target, limit: 10, ...query })).map(({ id }) =>
      entries.findIndex((entry) => entry.id === id),
    );
  expect(await found({})).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await found({ apps: [app] })).toEqual([0, 1, 2, 3, 4]);
  expect(await found({ apps: [] })).toEqual([]);
  expect(await found({ actor: 'aaaa' })).toEqual([0]);
  expect(await found({ actor: 'ops' })).toEqual([0]);
  expect(await found({ action: 'app.resume' })).toEqual([1, 3, 5]);
  expect(await found({ since: new Date(nowMs - 2_000), until: new Date(nowMs) })).toEqual([1, 2]);
  expect(await found({ limit: 2, before: entries[1]!.id })).toEqual([2, 3]);
});

test('text that Postgres has no place for does not keep an entry out', async () => {
  const { auditLog } = context.store;
  const target = newApp();
  await auditLog.write([newEntry({ target, before: { reason: 'nul \0, half \ud800' } })]);
  expect(await auditLog.list({ target, limit: 1 })).toMatchObject([{ before: { reason: 'nul �, half �' } }]);
  expect(await auditLog.list({ target: 'x\0', actor: '\ud800', limit: 1 })).toEqual([]);
});

test('old entries go', async () => {
  const { auditLog, retention } = context.store;
  const target = newApp();
  const at = (days: number) => new Date(Date.now() - days * dayMs);
  const [old, young] = [newEntry({ target }, 'done', at(11)), newEntry({ target }, 'done', at(9))];
  await auditLog.write([old, young]);
  await retention.run({
    policy: { ...defaultRetention, auditMs: 10 * dayMs },
    signal: new AbortController().signal,
    onRemoved: (table) => expect(table).toBe('audit_log'),
  });
  expect((await auditLog.list({ target, limit: 10 })).map(({ id }) => id)).toEqual([young.id]);
});
