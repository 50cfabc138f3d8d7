import { exceptionColumns } from '../batches.ts';
import type { Statements } from '../database.ts';
import { contentJson, readContent } from '../storable-text.ts';
import {
  type AudienceColumns,
  type AudienceRun,
  countAudience,
  readAudienceColumns,
} from './audience-columns.ts';
import type {
  Audience,
  Broadcast,
  BroadcastException,
  BroadcastOutcomes,
  BroadcastState,
  DoneChunk,
  ExceptionPlace,
  NewBroadcast,
} from './broadcast.ts';

/** Who runs the fan-out of a broadcast, and for how long unless it renews. */
export interface Lease {
  readonly owner: string;
  readonly leaseMs: number;
}

/** Broadcasts and their fan-out. Every method throws TokenStoreError. */
export interface Broadcasts {
  /** Undefined: the idempotency key was used for another one. */
  create(broadcast: NewBroadcast): Promise<{ broadcast: Broadcast; replayed: boolean } | undefined>;
  get(id: string): Promise<Broadcast | undefined>;
  /** The newest first. `before`: those that are older than this one; none, where there is no such broadcast. */
  list(app: string, options: { before?: string | undefined; limit: number }): Promise<Broadcast[]>;
  /** Moves it from one of some states to another; undefined: there is none, or it is in none of these. */
  move(id: string, from: readonly BroadcastState[], to: BroadcastState): Promise<Broadcast | undefined>;
  /** Ids of the batches that it has been enqueued as. */
  batchesOf(id: string): Promise<string[]>;
  outcomes(id: string): Promise<BroadcastOutcomes>;
  /** Those of it that were not simply accepted, in the order of its chunks. `after`: where to begin. */
  exceptions(
    id: string,
    options: { after?: ExceptionPlace | undefined; limit: number },
  ): Promise<BroadcastException[]>;

  /**
   * Takes one whose last steps nobody is known to finish: one that is `cancelling`, or `paused` by whoever died in the
   * middle of a chunk.
   */
  claimUnsettled(lease: Lease): Promise<Broadcast | undefined>;
  /** Says that a chunk that was about to be enqueued has been; does nothing where that is known. */
  recordChunk(id: string, chunk: number, sent: { batch: string; count: number }): Promise<void>;
  /** From `cancelling` to `cancelled`: nothing of it will be sent that has not been. Undefined: it was not `cancelling`. */
  endCancelling(id: string): Promise<Broadcast | undefined>;

  /** Takes one that has to be run and that nobody runs. */
  claim(lease: Lease): Promise<Broadcast | undefined>;
  /** Undefined: the lease is lost, or it is not to be run any more. */
  renew(id: string, lease: Lease): Promise<Broadcast | undefined>;
  release(id: string, owner: string): Promise<void>;
  setDevices(id: string, owner: string, devices: number): Promise<void>;
  fail(id: string, owner: string, error: string): Promise<void>;
  /** Says where the next chunk will end, before it is enqueued. False: the lease is lost, or it is not to go on. */
  intend(id: string, owner: string, chunk: number, pending: Buffer): Promise<boolean>;
  /** Says that a chunk has been enqueued. Undefined: the lease is lost. */
  commit(id: string, lease: Lease, done: DoneChunk): Promise<BroadcastState | undefined>;
  readAudience(run: AudienceRun): Promise<AudienceColumns>;
  countAudience(app: string, audience: Audience): Promise<number>;
}

const columns = `id, app, lane, delivery, audience, state, error, created_at as "createdAt", start_at as "startAt",
  spread_over_ms::float8 as "spreadOverMs", started_at as "startedAt", finished_at as "finishedAt",
  devices::float8 as devices, chunk, after_token as "afterToken", pending_token as "pendingToken",
  enqueued::float8 as enqueued, traceparent`;

export function createBroadcasts(database: Statements): Broadcasts {
  const many = async (sql: string, values: readonly unknown[]): Promise<Broadcast[]> =>
    (await database.query<Broadcast>(sql, values)).rows.map((row) => ({
      ...row,
      delivery: readContent(row.delivery) as Broadcast['delivery'],
    }));
  const one = async (sql: string, values: readonly unknown[]): Promise<Broadcast | undefined> =>
    (await many(sql, values))[0];
  const get = (id: string) => one(`select ${columns} from broadcasts where id = $1`, [id]);
  return {
    async create(broadcast) {
      const { id, app, lane, delivery, audience, startAt, spreadOverMs, keyed, traceparent } = broadcast;
      // A key is remembered for a day, as everywhere.
      if (keyed !== undefined) {
        await database.query(
          `update broadcasts set idempotency_key = null, fingerprint = null
           where app = $1 and idempotency_key = $2 and created_at < now() - interval '1 day'`,
          [app, keyed.key],
        );
      }
      const created = await one(
        `insert into broadcasts (id, app, lane, delivery, audience, start_at, spread_over_ms, idempotency_key,
           fingerprint, traceparent)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (app, idempotency_key) do nothing returning ${columns}`,
        [
          id,
          app,
          lane,
          contentJson(delivery),
          JSON.stringify(audience),
          startAt,
          spreadOverMs,
          keyed?.key ?? null,
          keyed?.fingerprint ?? null,
          traceparent ?? null,
        ],
      );
      if (created !== undefined) return { broadcast: created, replayed: false };
      const earlier = await one(
        `select ${columns} from broadcasts where app = $1 and idempotency_key = $2 and fingerprint = $3`,
        [app, keyed!.key, keyed!.fingerprint],
      );
      return earlier === undefined ? undefined : { broadcast: earlier, replayed: true };
    },
    get,
    async list(app, { before, limit }) {
      return many(
        `select ${columns} from broadcasts
         where app = $1 and ($3::uuid is null
           or (created_at, id) < (select b.created_at, b.id from broadcasts b where b.id = $3 and b.app = $1))
         order by created_at desc, id desc limit $2`,
        [app, limit, before ?? null],
      );
    },
    move: (id, from, to) =>
      one(
        `update broadcasts set state = $3,
           finished_at = case when $3 = 'cancelling' then coalesce(finished_at, now()) end
         where id = $1 and state = any($2::text[]) returning ${columns}`,
        [id, from, to],
      ),
    async batchesOf(id) {
      const { rows } = await database.query<{ batch: string }>(
        'select batch from broadcast_chunks where broadcast = $1 order by chunk',
        [id],
      );
      return rows.map(({ batch }) => batch);
    },
    async outcomes(id) {
      const { rows } = await database.query<BroadcastOutcomes>(
        `select coalesce(sum(accepted_proved), 0)::float8 as "acceptedProved",
           coalesce(sum(accepted_presumed), 0)::float8 as "acceptedPresumed",
           coalesce(sum(rejected), 0)::float8 as rejected, coalesce(sum(expired), 0)::float8 as expired,
           coalesce(sum(cancelled), 0)::float8 as cancelled, coalesce(sum(dead), 0)::float8 as dead,
           max(last_settled_at) as "lastSettledAt"
         from broadcast_chunks c join batches b on b.id = c.batch where c.broadcast = $1`,
        [id],
      );
      return rows[0]!;
    },
    async exceptions(id, { after = { chunk: 0, index: 0 }, limit }) {
      // A chunk has no more of them than fit the page: so many are read of each, by its key, until the page is full.
      const { rows } = await database.query<BroadcastException>(
        `select chunk, c.batch, ${exceptionColumns} from broadcast_chunks c cross join lateral (
           select * from exceptions e where e.batch = c.batch and (c.chunk > $2 or e.index > $3)
           order by e.index limit $4
         ) e
         where broadcast = $1 and chunk >= $2 order by chunk, e.index limit $4`,
        [id, after.chunk, after.index, limit],
      );
      return rows;
    },
    claimUnsettled: ({ owner, leaseMs }) =>
      one(
        `update broadcasts set lease_owner = $1, lease_until = now() + $2 * interval '1 ms'
         where id = (
           select id from broadcasts
           where (state = 'cancelling' or (state = 'paused' and pending_token is not null and lease_owner is not null))
             and lease_until < now()
           order by lease_until limit 1 for update skip locked
         ) returning ${columns}`,
        [owner, leaseMs],
      ),
    async recordChunk(id, chunk, { batch, count }) {
      await database.query(
        `with moved as (
           update broadcasts set chunk = chunk + 1, after_token = pending_token, pending_token = null,
             enqueued = enqueued + $4
           where id = $1 and chunk = $2 and pending_token is not null returning id
         )
         insert into broadcast_chunks (broadcast, chunk, batch, count) select id, $2, $3, $4 from moved`,
        [id, chunk, batch, count],
      );
    },
    endCancelling: (id) =>
      one(
        `update broadcasts set state = 'cancelled', lease_owner = null
         where id = $1 and state = 'cancelling' returning ${columns}`,
        [id],
      ),
    claim: ({ owner, leaseMs }) =>
      one(
        `update broadcasts set lease_owner = $1, lease_until = now() + $2 * interval '1 ms',
           started_at = coalesce(started_at, now())
         where id = (
           select id from broadcasts where state = 'running' and start_at <= now() and lease_until < now()
           order by start_at limit 1 for update skip locked
         ) returning ${columns}`,
        [owner, leaseMs],
      ),
    renew: (id, { owner, leaseMs }) =>
      one(
        `update broadcasts set lease_until = now() + $3 * interval '1 ms'
         where id = $1 and lease_owner = $2 and state = 'running' returning ${columns}`,
        [id, owner, leaseMs],
      ),
    async release(id, owner) {
      await database.query(
        `update broadcasts set lease_owner = null, lease_until = '-infinity' where id = $1 and lease_owner = $2`,
        [id, owner],
      );
    },
    async setDevices(id, owner, devices) {
      await database.query('update broadcasts set devices = $3 where id = $1 and lease_owner = $2', [
        id,
        owner,
        devices,
      ]);
    },
    async fail(id, owner, error) {
      await database.query(
        `update broadcasts set state = 'failed', error = $3, finished_at = now()
         where id = $1 and lease_owner = $2 and state = 'running'`,
        [id, owner, error],
      );
    },
    async intend(id, owner, chunk, pending) {
      const { rowCount } = await database.query(
        `update broadcasts set pending_token = $4
         where id = $1 and lease_owner = $2 and chunk = $3 and pending_token is null and state = 'running'`,
        [id, owner, chunk, pending],
      );
      return rowCount === 1;
    },
    async commit(id, { owner, leaseMs }, { chunk, lastToken, batch, count, nextPending }) {
      const { rows } = await database.query<{ state: BroadcastState }>(
        `with moved as (
           update broadcasts set chunk = chunk + 1, after_token = $4, pending_token = $5, enqueued = enqueued + $6,
             state = case when $5::bytea is null and state = 'running' then 'finished' else state end,
             finished_at = case when $5::bytea is null and state = 'running' then now() else finished_at end,
             lease_until = now() + $8 * interval '1 ms'
           where id = $1 and lease_owner = $2 and chunk = $3 returning state
         ), kept as (
           insert into broadcast_chunks (broadcast, chunk, batch, count)
           select $1, $3, $7, $6 from moved where $7::uuid is not null
         )
         select state from moved`,
        [id, owner, chunk, lastToken, nextPending ?? null, count, batch ?? null, leaseMs],
      );
      return rows[0]?.state;
    },
    readAudience: (run) => readAudienceColumns(database, run),
    countAudience: (app, audience) => countAudience(database, app, audience),
  };
}
