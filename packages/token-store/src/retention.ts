import type { Database } from './database.ts';

// What is old goes, in bounded chunks, each a transaction of its own, so that nothing waits long and vacuum keeps up.
// Batches lie in the order of their ids, which is that of time, and readings likewise: there a chunk is the front of a
// primary key. The other tables are walked once from the first block to the last: no index is kept for a job of the
// night. docs/decisions/0031-retention-without-partitions.md.

/** How long things are kept, milliseconds. */
export interface RetentionPolicy {
  /**
   * From their enqueueing, with their push jobs and exceptions; at least 35 days, since sends are scheduled for up to
   * 30. Broadcasts and uploaded lists likewise.
   */
  readonly batchesMs: number;
  /** Readings of the feedback service with their raw tuples. */
  readonly feedbackMs: number;
  /** Lines in the history of devices. */
  readonly changesMs: number;
  readonly eventsMs: number;
  /** Devices that are not active, from their deactivation. */
  readonly inactiveDevicesMs: number;
  /** Lines of the audit log. */
  readonly auditMs: number;
}

const dayMs = 86_400_000;
export const minBatchesMs = 35 * dayMs;

export const defaultRetention: RetentionPolicy = {
  batchesMs: 90 * dayMs,
  feedbackMs: 90 * dayMs,
  changesMs: 400 * dayMs,
  eventsMs: 30 * dayMs,
  inactiveDevicesMs: 400 * dayMs,
  auditMs: 400 * dayMs,
};

export interface RetentionOptions {
  readonly policy: RetentionPolicy;
  /** Told of each chunk that removed something. */
  readonly onRemoved: (table: string, rows: number) => void;
  readonly signal: AbortSignal;
  /** Rows of a chunk along a key, 5,000 by default; a chunk of a walk has 256 blocks of 8 KiB. */
  readonly chunkRows?: number;
  /** Epoch milliseconds. */
  readonly nowMs?: number;
}

export interface Retention {
  /** Whether it is time, and we are the one to do it: true in one process of the fleet per interval. @throws TokenStoreError */
  claim(intervalMs: number): Promise<boolean>;
  /** Removes what is old; after the signal it stops between two chunks. @throws TokenStoreError */
  run(options: RetentionOptions): Promise<void>;
}

const blocksPerChunk = 256;
/** No request takes longer to send a list. */
const unfinishedUploadMs = dayMs;

export function createRetention(database: Database): Retention {
  return {
    async claim(intervalMs) {
      const { rowCount } = await database.query(
        `insert into maintenance as m (name, started_at) values ('retention', now())
         on conflict (name) do update set started_at = now()
         where m.started_at <= now() - make_interval(secs => $1 / 1000.0)`,
        [intervalMs],
      );
      return rowCount === 1;
    },
    run: (options) => removeOld(database, options),
  };
}

async function removeOld(database: Database, options: RetentionOptions): Promise<void> {
  const { policy, nowMs = Date.now() } = options;
  const before = (ageMs: number) => new Date(nowMs - ageMs);
  const removal = new Removal(database, options);
  const oldBatch = firstUuidOf(before(Math.max(policy.batchesMs, minBatchesMs)));
  // Batches first: without theirs, push jobs and exceptions are nobody's, and no sum is wrong in between.
  await removal.alongKey('batches', 'id', 'id < $1::uuid', [oldBatch]);
  await removal.alongKey('batch_jobs', 'batch, first_index', 'batch < $1::uuid', [oldBatch]);
  await removal.alongKey('exceptions', 'batch, index', 'batch < $1::uuid', [oldBatch]);
  await removal.alongKey('audit_log', 'id', 'id < $1::uuid', [firstUuidOf(before(policy.auditMs))]);
  // Their ids are those of the batches that they become.
  await removal.alongKey('scheduled_sends', 'id', 'id < $1::uuid and settled_at is not null', [oldBatch]);
  await removal.alongKey('unreadable_reports', 'id', 'at < $1', [before(policy.batchesMs)]);

  const feedback = before(policy.feedbackMs);
  await removal.alongKey('feedback_tuples', 'reading, position', `reading < (${firstKeptReadingSql})`, [
    feedback,
  ]);
  // The last one of each app tells when it was read.
  await removal.alongKey(
    'feedback_readings',
    'id',
    `id < (${firstKeptReadingSql})
       and exists (select from feedback_readings newer where newer.app = t.app and newer.id > t.id)`,
    [feedback],
  );
  await removeBroadcasts(removal, before(policy.batchesMs));
  await removeUploads(removal, before(policy.batchesMs), before(unfinishedUploadMs));
  await removal.alongBlocks('events', 'created_at < $1', [before(policy.eventsMs)]);
  await removal.alongBlocks('webhook_deliveries', 'settled_at < $1', [before(policy.eventsMs)]);
  await removal.alongBlocks('told_once', 'at < $1', [before(policy.changesMs)]);
  await removal.alongBlocks('device_changes', 'at < $1', [before(policy.changesMs)]);
  await removal.alongBlocks(
    'devices',
    'not active and deactivated_at < $1',
    [before(policy.inactiveDevicesMs)],
    `, forgotten as (
       update device_changes c set detail = null from removed r
       where c.app = r.app and c.token = r.token and c.kind = 'moved'
     )
     insert into device_changes (app, token, kind) select app, token, 'removed' from removed`,
  );
}

/** With their chunks. */
async function removeBroadcasts(removal: Removal, before: Date): Promise<void> {
  const old = '(select id from broadcasts where finished_at < $1)';
  await removal.alongKey('broadcast_chunks', 'broadcast, chunk', `broadcast in ${old}`, [before]);
  await removal.alongKey('broadcasts', 'id', 'finished_at < $1', [before]);
}

/** Lists that nobody needs, with their users; and those that were never finished: whoever was taking them has died. */
async function removeUploads(removal: Removal, before: Date, unfinishedBefore: Date): Promise<void> {
  const isOld = `case when complete then created_at < $1 and not exists (
      select from broadcasts b where b.finished_at is null and b.audience->>'upload' = uploads.id::text
    ) else created_at < $2 end`;
  const values = [before, unfinishedBefore];
  const users = `upload in (select id from uploads where ${isOld})`;
  await removal.alongKey('upload_users', 'upload, user_id', users, values);
  await removal.alongKey('uploads', 'id', `t.id in (select id from uploads where ${isOld})`, values);
}

const firstKeptReadingSql = `
select coalesce((
  select min(id) from feedback_readings r
  where ended_at is null or ended_at >= $1 or exists (select from feedback_chunks c where c.reading = r.id)
), 9223372036854775807)`;

class Removal {
  readonly #database: Database;
  readonly #options: RetentionOptions;

  constructor(database: Database, options: RetentionOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** The front of the primary key, again and again until nothing is left there. */
  async alongKey(table: string, key: string, condition: string, values: readonly unknown[]): Promise<void> {
    const { signal, onRemoved, chunkRows = 5_000 } = this.#options;
    for (let rows = chunkRows; rows === chunkRows && !signal.aborted; ) {
      const result = await this.#database.query(
        `delete from ${table} where ctid = any(array(
           select ctid from ${table} t where ${condition} order by ${key} limit ${chunkRows}))`,
        values,
      );
      rows = result.rowCount ?? 0;
      if (rows > 0) onRemoved(table, rows);
    }
  }

  /** The whole table once, a few blocks at a time. @param effect What follows the CTE `removed`, other CTEs or a statement */
  async alongBlocks(
    table: string,
    condition: string,
    values: readonly unknown[],
    effect?: string,
  ): Promise<void> {
    const { signal, onRemoved } = this.#options;
    const { rows } = await this.#database.query<{ blocks: number }>(
      `select (pg_relation_size($1::regclass) / current_setting('block_size')::integer)::float8 as blocks`,
      [table],
    );
    const [{ blocks }] = rows as [{ blocks: number }];
    for (let from = 0; from < blocks && !signal.aborted; from += blocksPerChunk) {
      const range = `ctid >= '(${from},0)'::tid and ctid < '(${from + blocksPerChunk},0)'::tid`;
      const remove = `delete from ${table} where ${range} and ${condition}`;
      const result = await this.#database.query(
        effect === undefined ? remove : `with removed as (${remove} returning app, token)${effect}`,
        values,
      );
      if ((result.rowCount ?? 0) > 0) onRemoved(table, result.rowCount ?? 0);
    }
  }
}

/** The least UUID of version 7 of a moment: its first 48 bits are epoch milliseconds. */
function firstUuidOf(date: Date): string {
  const hex = Math.max(0, date.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
