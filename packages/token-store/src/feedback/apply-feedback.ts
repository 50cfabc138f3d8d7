import type { Database } from '../database.ts';
import { deactivationEffectsSql } from '../reconcile/evidence.ts';

// Readings are applied chunk by chunk, as they were stored, each in a transaction that also takes the chunk from the
// queue: it takes effect once, whoever dies in between. Tuples are sorted first, so that the look-ups walk along the
// primary key, and rows are locked in its order.

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
  from feedback_tuples where reading = $1 and position between $2 and $3
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

interface TakenChunk {
  readonly reading: string;
  readonly first: number;
  readonly last: number;
  readonly app: string;
  readonly ended_at: Date | null;
}

/** Nobody waits for a chunk that somebody else applies. */
const takeSql = `
with taken as (
  delete from feedback_chunks where (reading, first_position) = (
    select reading, first_position from feedback_chunks
    order by reading, first_position limit 1 for update skip locked)
  returning reading, first_position, last_position
)
select t.reading, t.first_position as first, t.last_position as last, r.app, r.ended_at
from taken t join feedback_readings r on r.id = t.reading`;

/**
 * Applies the next chunk that nobody else applies now, also while its reading goes on; undefined: there is none.
 * Tuples are weighed by `docs/protocol/feedback.md#registration-decides`: a device is deactivated if its last
 * registration is older than the tuple.
 * @throws TokenStoreError; then nothing of the chunk has been applied
 */
export async function applyNextChunk(database: Database): Promise<AppliedChunk | undefined> {
  return database.transaction(async (client) => {
    // A chunk is sorted, hashed and gathered in memory. Its commit need not wait for the disk: the tuples are there
    // already, and where a crash of the server takes the effect back, it brings the chunk back with it.
    await client.query(
      `select set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
         set_config('synchronous_commit', 'off', true)`,
    );
    const { rows: taken } = await client.query<TakenChunk>(takeSql);
    const [chunk] = taken;
    if (chunk === undefined) return undefined;
    const { reading, first, last, app, ended_at: endedAt } = chunk;
    const { rows } = await client.query<ChunkRow>(chunkSql, [
      reading,
      first,
      last,
      app,
      endedAt ?? new Date(),
    ]);
    const counts = countsOf(rows[0]!);
    // Last, since everybody who applies a chunk of the reading waits for this row.
    await client.query(
      `update feedback_readings set applied = applied + $2, deactivated = deactivated + $3, kept = kept + $4,
         inactive = inactive + $5, unknown = unknown + $6, absurd = absurd + $7, repeated = repeated + $8
       where id = $1`,
      [reading, last - first + 1, ...tupleResults.map((result) => counts[result])],
    );
    return { reading, app, counts };
  });
}

function countsOf({ total, ...counts }: ChunkRow): TupleCounts {
  const { absurd, deactivated, kept, inactive, unknown } = counts;
  return { ...counts, repeated: total - absurd - deactivated - kept - inactive - unknown };
}
