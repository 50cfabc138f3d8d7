import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { useTestStore } from './test-store.ts';

// What a row takes with its share of the indexes, as docs/database.md says it: of ten thousand of each.

const rows = 10_000;
const uuid = 'gen_random_uuid()';
/** 32 bytes. */
const token = 'sha256(i::text::bytea)';
const settled = '1, 0, 0, 0, 0, 0, 0';

const inserts: Readonly<Record<string, string>> = {
  devices: `insert into devices (app, token, user_id, tags, locale, time_zone, registered_at, created_at)
    select 'shop-prod', ${token}, 'user-' || i, '{vip,sale}', 'en-US', 'Europe/Berlin', now(), now()`,
  device_changes: `insert into device_changes (app, token, kind, source, status, evidence_at)
    select 'shop-prod', ${token}, 'deactivated', 'outcome', 410, now()`,
  batches: `insert into batches (id, app, lane, size, enqueued_at, accepted_proved, accepted_presumed, rejected, expired,
      cancelled, dead, resent_uncertain, first_settled_at, last_settled_at, finished_at)
    select ${uuid}, 'shop-prod', 'transactional', 1, now(), ${settled}, now(), now(), now()`,
  batch_jobs: `insert into batch_jobs (batch, first_index, count, accepted_proved, accepted_presumed, rejected, expired,
      cancelled, dead, resent_uncertain, settled_at) select ${uuid}, 1, 1, ${settled}, now()`,
  exceptions: `insert into exceptions (batch, index, app, token, outcome, reason, status, at)
    select '0193f0a4-7c3e-7000-8000-000000000000', i, 'shop-prod', ${token}, 'rejected', 'Unregistered', 410, now()`,
  feedback_tuples: `insert into feedback_tuples (reading, position, time, token) select 1, i, 1700000000, ${token}`,
  events: `insert into events (app, kind, payload, dispatched_at)
    select 'shop-prod', 'batch.finished', '{"batch":"0193f0a4-7c3e-7000-8000-000000000000","lane":"bulk","size":1000,"accepted":1000}', now()`,
  upload_users: `insert into upload_users (upload, user_id) select '0193f0a4-7c3e-7000-8000-000000000000', 'user-' || i`,
  broadcast_chunks: `insert into broadcast_chunks (broadcast, chunk, batch, count)
    select '0193f0a4-7c3e-7000-8000-000000000000', i, ${uuid}, 10000`,
};

const database = useTestStore();

test.each(Object.keys(inserts))('a row of %s takes what the documents say', async (table) => {
  const size = async () => {
    const [row] = await database.sql(`select pg_total_relation_size('${table}')::int as bytes`);
    return row!.bytes as number;
  };
  const before = await size();
  await database.sql(`${inserts[table]} from generate_series(1, ${rows}) i`);
  const bytes = ((await size()) - before) / rows;
  const page = await readFile(new URL('../../../docs/database.md', import.meta.url), 'utf8');
  const line = page.split('\n').find((one) => one.startsWith(`| a row of \`${table}\` |`));
  const told = Number(line?.split('|')[2]);
  expect(bytes / told, `${table}: ${bytes} bytes, told ${told}`).toBeGreaterThan(0.8);
  expect(bytes / told, `${table}: ${bytes} bytes, told ${told}`).toBeLessThan(1.25);
});
