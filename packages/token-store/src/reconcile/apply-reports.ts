import { tokenEvidence } from '@pushfleet/apns-wire/answer';
import type { OutcomeException, OutcomeReport } from '@pushfleet/push-queue/report';
import type { Database, Queryable } from '../database.ts';
import { storableText } from '../storable-text.ts';
import { type Deactivated, deactivateByEvidence, type Evidence } from './evidence.ts';

// Outcome reports are read at least once and take effect once: the row of a push job in `batch_jobs` can be inserted
// by one transaction only, and everything else that a report says is done in that transaction.

export interface AppliedReports {
  /** Reports that took effect. */
  readonly applied: number;
  readonly appliedByApp: ReadonlyMap<string, number>;
  /** Reports that had been applied before. */
  readonly repeated: number;
  readonly finishedBatches: number;
  readonly deactivated: readonly Deactivated[];
}

export interface ApplyOptions {
  /** Apps whose invalid tokens are not to be believed now: exceptions are stored, devices stay. */
  readonly appsInDoubt?: ReadonlySet<string>;
}

const outcomes = ['rejected', 'expired', 'cancelled', 'dead'] as const;

const countColumns =
  'accepted_proved, accepted_presumed, rejected, expired, cancelled, dead, resent_uncertain';
const eachCount = (toSql: (column: string) => string) => countColumns.split(', ').map(toSql).join(', ');
const settledSum = (table: string) =>
  ['accepted_proved', 'accepted_presumed', ...outcomes].map((column) => `${table}.${column}`).join(' + ');

const storeSql = `
with input as materialized (
  select distinct on (r.batch, r.first_index) r.*
  from jsonb_to_recordset($1::jsonb) as r (
    app text, lane text, batch uuid, size integer, first_index bigint, count integer, enqueued_at_ms double precision,
    settled_at_ms double precision, ${eachCount((column) => `${column} integer`)}
  )
  order by r.batch, r.first_index
), fresh as (
  insert into batch_jobs (batch, first_index, count, ${countColumns}, settled_at)
  select batch, first_index, count, ${countColumns}, to_timestamp(settled_at_ms / 1000.0)
  from input order by batch, first_index
  on conflict do nothing returning *
), sums as materialized (
  select f.batch, min(i.app) as app, min(i.lane) as lane, min(i.size) as size, min(i.enqueued_at_ms) as enqueued_at_ms,
    min(f.settled_at) as first_settled_at, max(f.settled_at) as last_settled_at,
    ${eachCount((column) => `sum(f.${column})::integer as ${column}`)}
  from fresh f join input i on i.batch = f.batch and i.first_index = f.first_index
  group by f.batch
), stored as (
  insert into batches as b (id, app, lane, size, enqueued_at, ${countColumns}, first_settled_at, last_settled_at, finished_at)
  select s.batch, s.app, s.lane, s.size, to_timestamp(s.enqueued_at_ms / 1000.0), ${countColumns}, s.first_settled_at,
    s.last_settled_at, case when ${settledSum('s')} >= s.size then s.last_settled_at end
  from sums s order by s.batch
  on conflict (id) do update set
    -- Of a push job that nobody can read any more, only its own size is known.
    size = greatest(b.size, excluded.size),
    ${eachCount((column) => `${column} = b.${column} + excluded.${column}`)},
    first_settled_at = least(b.first_settled_at, excluded.first_settled_at),
    last_settled_at = greatest(b.last_settled_at, excluded.last_settled_at),
    finished_at = case when ${settledSum('b')} + ${settledSum('excluded')} >= greatest(b.size, excluded.size)
      then greatest(b.last_settled_at, excluded.last_settled_at) end
  returning *
), told as (
  insert into events (app, kind, payload)
  select app, 'batch.finished', jsonb_build_object('batch', id, 'lane', lane, 'size', size,
    'acceptedProved', accepted_proved, 'acceptedPresumed', accepted_presumed, 'rejected', rejected,
    'expired', expired, 'cancelled', cancelled, 'dead', dead, 'finishedAt', finished_at)
  from stored where finished_at is not null
  returning 1
)
select (select coalesce(json_agg(batch || '-' || first_index), '[]') from fresh) as fresh,
  (select count(*)::integer from told) as finished`;

const totalColumns = ['accepted_proved', 'accepted_presumed', ...outcomes];
const totalsSql = `
insert into app_totals as t (app, lane, ${totalColumns.join(', ')})
select app, lane, ${totalColumns.map((column) => `sum(${column})`).join(', ')}
from jsonb_to_recordset($1::jsonb) as r (
  app text, lane text, ${totalColumns.map((column) => `${column} integer`).join(', ')}
)
group by app, lane order by app, lane
on conflict (app, lane) do update set
  ${totalColumns.map((column) => `${column} = t.${column} + excluded.${column}`).join(', ')}`;

const exceptionsSql = `
with input as materialized (
  select * from jsonb_to_recordset($1::jsonb) as e (
    batch uuid, first_index bigint, app text, index bigint, token text, outcome text, reason text, status integer,
    at_ms double precision)
), stored as (
  insert into exceptions (batch, index, app, token, outcome, reason, status, at)
  select batch, index, app, decode(token, 'hex'), outcome, reason, status, to_timestamp(at_ms / 1000.0)
  from input order by batch, index
  on conflict do nothing
)
insert into events (app, kind, payload)
select min(app), 'notifications.rejected', jsonb_build_object('batch', batch, 'notifications',
  jsonb_agg(jsonb_strip_nulls(jsonb_build_object('index', index,
    -- As push-queue makes the id of a notification from that of its batch.
    'notificationId', left(batch::text, 28) || lpad(to_hex(index), 8, '0'), 'token', token, 'reason', reason,
    'status', status, 'atMs', at_ms)) order by index))
from input where outcome = 'rejected' group by batch, first_index order by batch, first_index`;

/**
 * Applies outcome reports in one transaction: counts of batches, exceptions, deactivations, history, events.
 * @throws TokenStoreError; then nothing of it has been applied
 */
export async function applyReports(
  database: Database,
  jobs: readonly OutcomeReport[],
  options: ApplyOptions = {},
): Promise<AppliedReports> {
  if (jobs.length === 0)
    return { applied: 0, appliedByApp: new Map(), repeated: 0, finishedBatches: 0, deactivated: [] };
  return database.transaction(async (client) => {
    const { fresh, finished } = await storeCounts(client, jobs);
    const freshJobs = jobs.filter((job) => fresh.delete(`${job.batch}-${job.firstIndex}`));
    await storeExceptions(client, freshJobs);
    const evidence = freshJobs.flatMap((job) =>
      job.exceptions.flatMap((exception) => evidenceOf(job, exception, options.appsInDoubt) ?? []),
    );
    const deactivated = await deactivateByEvidence(client, evidence);
    // Last, since every sweeper that applies reports of the app waits for this row.
    await client.query(totalsSql, [JSON.stringify(countsOf(freshJobs))]);
    return {
      applied: freshJobs.length,
      appliedByApp: countByApp(freshJobs),
      repeated: jobs.length - freshJobs.length,
      finishedBatches: finished,
      deactivated,
    };
  });
}

function countByApp(jobs: readonly OutcomeReport[]): Map<string, number> {
  return new Map([...Map.groupBy(jobs, ({ app }) => app)].map(([app, ofApp]) => [app, ofApp.length]));
}

function countsOf(jobs: readonly OutcomeReport[]) {
  return jobs.map((job) => ({
    app: job.app,
    lane: job.lane,
    batch: job.batch,
    size: job.batchSize,
    first_index: job.firstIndex,
    count: job.count,
    enqueued_at_ms: job.enqueuedAtMs,
    settled_at_ms: job.settledAtMs,
    accepted_proved: job.accepted.proved,
    accepted_presumed: job.accepted.presumed,
    resent_uncertain: job.resentUncertain,
    ...Object.fromEntries(
      outcomes.map((outcome) => [outcome, job.exceptions.filter((one) => one.outcome === outcome).length]),
    ),
  }));
}

async function storeCounts(client: Queryable, jobs: readonly OutcomeReport[]) {
  const { rows } = await client.query<{ fresh: string[]; finished: number }>(storeSql, [
    JSON.stringify(countsOf(jobs)),
  ]);
  const [row] = rows;
  return { fresh: new Set(row!.fresh), finished: row!.finished };
}

async function storeExceptions(client: Queryable, jobs: readonly OutcomeReport[]): Promise<void> {
  const input = jobs.flatMap((job) =>
    job.exceptions.map((exception) => ({
      batch: job.batch,
      first_index: job.firstIndex,
      app: job.app,
      index: exception.index,
      token: exception.token,
      outcome: exception.outcome,
      reason: storableText(exception.reason),
      status: exception.status,
      at_ms: exception.atMs,
    })),
  );
  if (input.length > 0) await client.query(exceptionsSql, [JSON.stringify(input)]);
}

/**
 * A 410 says when the token was found gone. Status 8 and BadDeviceToken say only that it was bad when it was sent:
 * known for certain is that a registration from before the enqueueing is meant, so one from after it stands.
 */
function evidenceOf(
  job: OutcomeReport,
  exception: OutcomeException,
  appsInDoubt: ReadonlySet<string> | undefined,
): Evidence | undefined {
  const source = tokenEvidence(exception);
  if (source === undefined) return undefined;
  if (source === 'invalid-token' && appsInDoubt?.has(job.app) === true) return undefined;
  const { token, status = null, unregisteredAtMs } = exception;
  return { app: job.app, token, status, source, atMs: unregisteredAtMs ?? job.enqueuedAtMs };
}
