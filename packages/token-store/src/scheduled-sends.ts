import type { Lease } from './broadcasts/broadcasts.ts';
import type { Database } from './database.ts';

/** `waiting` and `cancelling` are for a runner to end; the others have ended. */
export type ScheduledSendState = 'waiting' | 'cancelling' | 'enqueued' | 'cancelled' | 'failed';

/** A send to users that goes out later, to the devices that are theirs then. */
export interface ScheduledSend {
  /** Of the batch that it is enqueued as. */
  readonly id: string;
  readonly app: string;
  readonly lane: string;
  /** What was asked for, in the fields of the API; null once it has ended. */
  readonly call: Readonly<Record<string, unknown>> | null;
  /** Notifications that were asked for; a user is one. */
  readonly size: number;
  readonly sendAt: Date;
  readonly state: ScheduledSendState;
  readonly createdAt: Date;
  readonly cancelRequestedAt: Date | null;
  readonly settledAt: Date | null;
  /** Why it failed. */
  readonly error: string | null;
  /** When it went out; null: all had some, or it has not. */
  readonly usersWithoutDevices: readonly string[] | null;
}

export type NewScheduledSend = Pick<ScheduledSend, 'id' | 'app' | 'lane' | 'size' | 'sendAt'> & {
  readonly call: object;
};

/** How one ended. */
export interface ScheduledSendEnd {
  readonly state: 'enqueued' | 'cancelled' | 'failed';
  readonly error?: string | undefined;
  readonly usersWithoutDevices?: readonly string[] | undefined;
}

/** Most that an app may have waiting. */
export interface ScheduledLimits {
  readonly notifications: number;
  /** Of what is sent, as JSON. */
  readonly bytes: number;
}

/** What an app has waiting. */
export type ScheduledTotals = ScheduledLimits;

/** Which ones to take. */
export interface ClaimOptions extends Lease {
  /** Of these apps. */
  readonly apps: readonly string[];
  readonly limit: number;
}

/** Sends to users that go out later. Every method throws TokenStoreError. */
export interface ScheduledSends {
  /**
   * Does nothing where there is one with its id. Returns what the app has waiting where there is no room for it, and nothing
   * otherwise.
   */
  create(send: NewScheduledSend, limits: ScheduledLimits): Promise<ScheduledTotals | undefined>;
  get(id: string): Promise<ScheduledSend | undefined>;
  /** From here on it does not go out, unless it has. Undefined: it has ended, or there is none. */
  requestCancel(id: string): Promise<ScheduledSend | undefined>;
  /** Takes some that are due, or to be cancelled, and that nobody has; the earliest first. */
  claim(options: ClaimOptions): Promise<ScheduledSend[]>;
  /** Leaves some to whoever comes next, but not for so many milliseconds. */
  postpone(ids: readonly string[], owner: string, ms: number): Promise<void>;
  /**
   * Writes down how it ended; false: it was not in the state `from` any more. Where no worker will tell of it, it is
   * told here that its batch is finished.
   */
  end(id: string, from: 'waiting' | 'cancelling', end: ScheduledSendEnd): Promise<boolean>;
}

const columns = `id, app, lane, call, size, send_at as "sendAt", state, created_at as "createdAt",
  cancel_requested_at as "cancelRequestedAt", settled_at as "settledAt", error,
  users_without_devices as "usersWithoutDevices"`;

export function createScheduledSends(database: Database): ScheduledSends {
  const many = async (sql: string, values: readonly unknown[]): Promise<ScheduledSend[]> =>
    (await database.query<ScheduledSend>(sql, values)).rows;
  return {
    async create({ id, app, lane, size, sendAt, call }, limits) {
      const text = JSON.stringify(call);
      const { rows } = await database.query<ScheduledTotals & { refused: boolean }>(
        `with used as materialized (
           select coalesce(sum(notifications), 0) as notifications, coalesce(sum(bytes), 0) as bytes
           from scheduled_totals where app = $2
         ), made as (
           insert into scheduled_sends (id, app, lane, size, send_at, call, bytes)
           select $1, $2, $3, $4, $5, $6::json, $7 from used
           where notifications + $4::integer <= $8 and used.bytes + $7::integer <= $9
           on conflict (id) do nothing returning app, size, bytes
         ), counted as (
           insert into scheduled_totals as t (app, notifications, bytes) select app, size, bytes from made
           on conflict (app) do update set
             notifications = t.notifications + excluded.notifications, bytes = t.bytes + excluded.bytes
         )
         select notifications::float8, bytes::float8,
           not exists (select from made) and not exists (select from scheduled_sends where id = $1) as refused
         from used`,
        [id, app, lane, size, sendAt, text, Buffer.byteLength(text), limits.notifications, limits.bytes],
      );
      const { refused, ...used } = rows[0]!;
      return refused ? used : undefined;
    },
    async get(id) {
      return (await many(`select ${columns} from scheduled_sends where id = $1`, [id]))[0];
    },
    async requestCancel(id) {
      const [row] = await many(
        `update scheduled_sends set state = 'cancelling', cancel_requested_at = coalesce(cancel_requested_at, now())
         where id = $1 and state in ('waiting', 'cancelling') returning ${columns}`,
        [id],
      );
      return row;
    },
    claim: ({ owner, leaseMs, apps, limit }) =>
      many(
        `update scheduled_sends set lease_owner = $1, lease_until = now() + $2 * interval '1 ms'
         where id in (
           select id from scheduled_sends
           where state in ('waiting', 'cancelling') and (send_at <= now() or state = 'cancelling')
             and lease_until < now() and app = any($3::text[])
           order by send_at limit $4 for update skip locked
         ) returning ${columns}`,
        [owner, leaseMs, apps, limit],
      ),
    async postpone(ids, owner, ms) {
      await database.query(
        `update scheduled_sends set lease_owner = null, lease_until = now() + $3 * interval '1 ms'
         where id = any($1::uuid[]) and lease_owner = $2`,
        [ids, owner, ms],
      );
    },
    async end(id, from, { state, error, usersWithoutDevices }) {
      const { rows } = await database.query<{ ended: number }>(
        `with ended as (
           update scheduled_sends set state = $2, call = null, error = $3, users_without_devices = $4,
             settled_at = now(), lease_owner = null
           where id = $1 and state = $5 returning *
         ), told as (
           insert into events (app, kind, payload)
           select app, 'batch.finished', jsonb_build_object('batch', id, 'lane', lane, 'size', size,
             'acceptedProved', 0, 'acceptedPresumed', 0,
             'rejected', case when state = 'failed' then size else 0 end, 'expired', 0,
             'cancelled', case when state = 'cancelled' then size else 0 end, 'dead', 0, 'finishedAt', settled_at)
           from ended where state <> 'enqueued'
         ), counted as (
           update scheduled_totals t
           set notifications = t.notifications - e.size, bytes = t.bytes - e.bytes
           from ended e where t.app = e.app
         )
         select count(*)::integer as ended from ended`,
        [id, state, error ?? null, usersWithoutDevices ?? null, from],
      );
      return rows[0]!.ended === 1;
    },
  };
}
