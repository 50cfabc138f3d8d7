import type { Database, Queryable } from '../database.ts';
import { deactivationEffectsSql } from '../reconcile/evidence.ts';

// Readings are applied chunk by chunk, each in a transaction that also moves `applied` of the reading: a chunk takes
// effect once, whoever dies in between. Tuples are sorted first, so that the look-ups walk along the primary key.

/** What became of tuples; a closed set, usable as a metric label. The sum is what was applied. */
export const tupleResults = ['deactivated', 'kept', 'inactive', 'unknown', 'absurd', 'repeated'] as const;
export type TupleResult = (typeof tupleResults)[number];
export type TupleCounts = Readonly<Record<TupleResult, number>>;

export interface AppliedChunk {
  readonly reading: string;
  readonly app: string;
  readonly counts: TupleCounts;
}

/** APNs did not exist before; a time before it is no time. 2008-01-01T00:00:00Z, epoch seconds. */
const earliestTupleTime = 1_199_145_600;
/** Clocks differ; beyond this a time in the future is no time. Seconds. */
const futureToleranceSeconds = 300;

const chunkSql = `
with chunk as materialized (
  select time, token, time >= ${earliestTupleTime} and time <= extract(epoch from $5::timestamptz) + ${futureToleranceSeconds}
    as plausible
  from feedback_tuples where reading = $1 and position > $2 and position <= $3
), tuple as materialized (
  select token, to_timestamp(max(time)) as at from chunk where plausible group by token order by token
), deactivated as (
  update devices d set active = false, deactivated_at = now(), deactivated_source = 'feedback',
    deactivated_status = null, evidence_at = t.at
  from tuple t where d.app = $4 and d.token = t.token and d.active and d.registered_at < t.at
  returning d.app, d.token, d.user_id, 'feedback' as source, null::integer as status, d.evidence_at
), rest as materialized (
  select d.active from tuple t left join devices d on d.app = $4 and d.token = t.token
  where not exists (select from deactivated x where x.token = t.token)
), ${deactivationEffectsSql}
select
  (select count(*) from chunk)::integer as total,
  (select count(*) from chunk where not plausible)::integer as absurd,
  (select count(*) from deactivated)::integer as deactivated,
  (select count(*) from rest where active)::integer as kept,
  (select count(*) from rest where not active)::integer as inactive,
  (select count(*) from rest where active is null)::integer as unknown`;

interface ChunkRow {
  readonly total: number;
  readonly absurd: number;
  readonly deactivated: number;
  readonly kept: number;
  readonly inactive: number;
  readonly unknown: number;
}

interface ReadingRow {
  readonly app: string;
  readonly ended_at: Date | null;
  readonly tuples: number;
  readonly applied: number;
}

/** Names the lock of the one who applies a reading; the second number is made from the reading. */
const applierLockClass = 0x50_46_46_41;
/** Readings to look at for one that nobody applies now. */
const candidates = 16;

/**
 * Applies the next chunk of a reading that nobody else applies now, also while it is being read; undefined: there is
 * none. Tuples are weighed by PROTOCOL section 2, rule 3: a device is deactivated if its last registration is older
 * than the tuple.
 * @throws TokenStoreError; then nothing of the chunk has been applied
 */
export async function applyNextChunk(
  database: Database,
  chunkSize: number,
): Promise<AppliedChunk | undefined> {
  const { rows } = await database.query<{ id: string }>(
    'select id from feedback_readings where applied < tuples order by id limit $1',
    [candidates],
  );
  for (const { id } of rows) {
    const chunk = await database.transaction((client) => applyChunk(client, id, chunkSize));
    if (chunk !== undefined) return chunk;
  }
  return undefined;
}

/** The lock is apart from the reading's row, so that its reader can go on counting there. */
async function applyChunk(
  client: Queryable,
  id: string,
  chunkSize: number,
): Promise<AppliedChunk | undefined> {
  const { rows: locks } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_xact_lock($1, ($2::bigint % 2147483647)::integer) as locked',
    [applierLockClass, id],
  );
  if (!locks[0]!.locked) return undefined;
  const { rows: readings } = await client.query<ReadingRow>(
    'select app, ended_at, tuples, applied from feedback_readings where id = $1 and applied < tuples',
    [id],
  );
  const [reading] = readings;
  if (reading === undefined) return undefined;
  // A chunk is sorted, hashed and gathered in memory. Its commit need not wait for the disk: the tuples are there
  // already, and where a crash of the server takes the effect back, it takes `applied` back with it.
  await client.query(
    `select set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
       set_config('synchronous_commit', 'off', true)`,
  );
  const { app } = reading;
  const upTo = Math.min(reading.tuples, reading.applied + chunkSize);
  const { rows } = await client.query<ChunkRow>(chunkSql, [
    id,
    reading.applied,
    upTo,
    app,
    reading.ended_at ?? new Date(),
  ]);
  const counts = countsOf(rows[0]!);
  await client.query(
    `update feedback_readings set applied = $2, deactivated = deactivated + $3, kept = kept + $4,
       inactive = inactive + $5, unknown = unknown + $6, absurd = absurd + $7, repeated = repeated + $8
     where id = $1`,
    [id, upTo, ...tupleResults.map((result) => counts[result])],
  );
  return { reading: id, app, counts };
}

function countsOf({ total, ...counts }: ChunkRow): TupleCounts {
  const { absurd, deactivated, kept, inactive, unknown } = counts;
  return { ...counts, repeated: total - absurd - deactivated - kept - inactive - unknown };
}
