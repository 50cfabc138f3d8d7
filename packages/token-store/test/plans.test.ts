import pg from 'pg';
import { beforeAll, expect, test, vi } from 'vitest';
import type { DeviceToken } from '../src/index.ts';
import { batchOf } from './reports-of.ts';
import { newToken, useTestStore } from './test-store.ts';

// The statements that run often, as they are sent, and what Postgres makes of them in a table that is not small: every
// access to a table that grows is by an index. And what changes often is changed in place (HOT), without touching one.

const context = useTestStore();
const app = 'shop';
let known: DeviceToken[];

beforeAll(async () => {
  await context.sql(
    `insert into devices (app, token, user_id, registered_at, created_at)
     select $1, decode(md5(i::text) || md5('x' || i), 'hex'), 'user-' || i / 2, '2026-01-01', '2026-01-01'
     from generate_series(1, 60000) i`,
    [app],
  );
  await context.sql(
    `insert into batches (id, app, lane, size, enqueued_at, first_settled_at, last_settled_at)
     select gen_random_uuid(), $1, 'bulk', 1, now(), now(), now() from generate_series(1, 20000)`,
    [app],
  );
  await context.sql(`insert into exceptions (batch, index, app, token, outcome, reason, at)
    select id, 1, app, '\\x00', 'dead', 'x', now() from batches`);
  await context.sql(`insert into batch_jobs select id, 1, 1, 1, 0, 0, 0, 0, 0, 0, now() from batches`);
  await context.sql(
    `insert into feedback_readings (app, ended_at, result, tuples, applied)
     select 'app-' || i % 300, now(), 'complete', 0, 0 from generate_series(1, 30000) i`,
  );
  await context.sql(`insert into feedback_tuples select i, 1, 0, '\\x00' from generate_series(-20000, 0) i`);
  await context.sql('insert into broadcast_chunks select id, 1, id, 1 from batches');
  await context.sql(`insert into upload_users select id, 'ann' from batches`);
  await context.sql('insert into device_changes (app, token, kind) select app, token, $1 from devices', [
    'registered',
  ]);
  await context.sql(
    `insert into events (app, kind, payload, dispatched_at) select app, 'x', '{}', now() from batches`,
  );
  await context.sql('vacuum analyze');
  const rows = await context.sql(`select encode(token, 'hex') as token from devices order by token limit 50`);
  known = rows.map(({ token }) => token as DeviceToken);
});

interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

/** What is sent to Postgres while `work` runs. */
async function statementsOf(work: () => Promise<unknown>): Promise<Statement[]> {
  const spy = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await work();
    const calls = spy.mock.calls as unknown as [text: unknown, values?: unknown[]][];
    return calls.flatMap(([text, values]) =>
      typeof text === 'string' && /^\s*(with|select|insert|update|delete)\b/i.test(text)
        ? [{ text, values: values ?? [] }]
        : [],
    );
  } finally {
    spy.mockRestore();
  }
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

function* nodesOf(plan: PlanNode): Generator<PlanNode> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

/** Tables that are read from end to end, and indexes that are used. */
async function accessOf(statements: readonly Statement[]) {
  const scanned = new Set<string>();
  const indexes = new Set<string>();
  for (const { text, values } of statements) {
    const [row] = await context.sql(`explain (format json) ${text}`, values);
    const [{ Plan: plan }] = row!['QUERY PLAN'] as [{ Plan: PlanNode }];
    for (const node of nodesOf(plan)) {
      if (node['Node Type'] === 'Seq Scan') scanned.add(node['Relation Name']!);
      if (node['Index Name'] !== undefined) indexes.add(node['Index Name']);
    }
  }
  return { scanned: [...scanned], indexes: [...indexes].toSorted() };
}

test.for([
  [
    'a registration',
    () => context.store.devices.register(app, { token: newToken(), previousToken: newToken(), userId: 'x' }),
    ['device_changes_pkey', 'devices_pkey'],
  ],
  ['a look-up by token', () => context.store.devices.get(app, known[0]!), ['devices_pkey']],
  [
    'the devices of a user',
    () => context.store.devices.ofUser(app, 'user-7', { limit: 10 }),
    ['devices_by_user'],
  ],
  [
    'the devices of some users',
    () => context.store.devices.findTokensOfUsers(app, ['user-7', 'user-8'], 5_001),
    ['devices_by_user'],
  ],
  ['the history of a device', () => context.store.devices.history(app, known[0]!), ['device_changes_pkey']],
  [
    'a run of an audience',
    () =>
      context.store.broadcasts.readAudience({
        app,
        audience: { tags: 'x', upload: batchOf(1) },
        after: Buffer.from(known[9]!, 'hex'),
        scan: 500,
      }),
    ['devices_pkey', 'upload_users_pkey'],
  ],
  ['a batch', () => context.store.batches.find(batchOf(1)), ['batches_pkey']],
  [
    'one notification',
    () => context.store.batches.notification(app, batchOf(1), 5),
    ['batch_jobs_pkey', 'batches_pkey'],
  ],
  ['the exceptions of a batch', () => context.store.batches.exceptions(batchOf(1)), ['exceptions_pkey']],
  [
    'the exceptions of a broadcast',
    () => context.store.broadcasts.exceptions(batchOf(1), { after: { chunk: 1, index: 5 }, limit: 100 }),
    ['broadcast_chunks_pkey', 'exceptions_pkey'],
  ],
  [
    'what is due of feedback',
    () => context.store.feedback.lastReadings(['app-1', 'app-2']),
    ['feedback_readings_by_app'],
  ],
  ['readings that are left', () => context.store.feedback.endInterrupted([app]), ['feedback_readings_open']],
] as const)('%s goes by index', async ([, work, indexes]) => {
  const access = await accessOf(await statementsOf(work));
  expect(access).toEqual({ scanned: [], indexes });
});

const settle = (tokens: readonly DeviceToken[]) =>
  context.store.reports.apply([
    {
      v: 1,
      job: 'any',
      app,
      lane: 'bulk',
      batch: batchOf(Math.random() * 1e9),
      batchSize: 100,
      firstIndex: 1,
      count: 100,
      enqueuedAtMs: Date.now(),
      settledAtMs: Date.now(),
      accepted: { proved: 0, presumed: 100 - tokens.length },
      resentUncertain: 0,
      exceptions: tokens.map((token, at) => ({
        index: at + 1,
        token,
        outcome: 'rejected' as const,
        reason: 'invalid-token',
        status: 8,
        tokenInvalid: true,
        atMs: Date.now(),
      })),
    },
  ]);

async function applyFeedback(tokens: readonly DeviceToken[]): Promise<void> {
  const { feedback } = context.store;
  const reading = (await feedback.openReading(app))!;
  await reading.append(
    tokens.map((token) => ({ timestamp: Math.floor(Date.now() / 1000), token: Buffer.from(token, 'hex') })),
  );
  await reading.finish({ result: 'complete' });
  await reading.close();
  await feedback.applyNextChunk();
}

test('reports and feedback find their devices by index', async () => {
  for (const work of [() => settle(known.slice(0, 10)), () => applyFeedback(known.slice(10, 20))]) {
    const { scanned, indexes } = await accessOf(await statementsOf(work));
    // The sums of an app are a handful of rows, and the queue of chunks is empty most of the time.
    expect(scanned.filter((table) => table !== 'app_totals' && table !== 'feedback_chunks')).toEqual([]);
    expect(indexes).toContain('devices_pkey');
  }
});

test('retention walks along primary keys, or from block to block', async () => {
  const run = () =>
    context.store.retention.run({
      policy: {
        ...{ batchesMs: 1, feedbackMs: 1e12, changesMs: 1e12, eventsMs: 1e12 },
        ...{ inactiveDevicesMs: 1e12, auditMs: 1e12 },
      },
      signal: new AbortController().signal,
      onRemoved: () => undefined,
    });
  const { scanned, indexes } = await accessOf(await statementsOf(run));
  // Readings are one per app and interval, and their chunks are gone once they are applied; the audit log and what is scheduled are empty here.
  const few = [
    'audit_log',
    'scheduled_sends',
    'unreadable_reports',
    'feedback_readings',
    'feedback_chunks',
    'broadcasts',
    'uploads',
  ];
  expect(scanned.filter((table) => !few.includes(table))).toEqual([]);
  expect(indexes).toEqual(
    expect.arrayContaining(['batch_jobs_pkey', 'batches_pkey', 'exceptions_pkey', 'feedback_readings_pkey']),
  );
});

test('refreshes and deactivations change rows in place, without touching an index', async () => {
  const [refreshed] = await statementsOf(() =>
    context.store.devices.registerMany(
      app,
      known.slice(20, 30).map((token) => ({ token, locale: 'de' })),
    ),
  );
  const feedback = await statementsOf(() => applyFeedback(known.slice(30, 40)));
  const chunk = feedback.find(({ text }) => text.includes('update devices'))!;
  await context.sql('update devices set active = true where app = $1', [app]);
  await context.sql('vacuum devices');
  const hot = await context.store.database.transaction(async (client) => {
    const count = async () => {
      const { rows } = await client.query(
        `select n_tup_upd::integer as updated, n_tup_hot_upd::integer as hot from pg_stat_xact_user_tables where relname = 'devices'`,
      );
      return rows[0] as { updated: number; hot: number };
    };
    // The view holds what transactions before this one did on the connection, too, until that is written down.
    const before = await count();
    await client.query(refreshed!.text, refreshed!.values);
    await client.query(chunk.text, chunk.values);
    const after = await count();
    return { updated: after.updated - before.updated, hot: after.hot - before.hot };
  });
  expect(hot).toEqual({ updated: 20, hot: 20 });
});
