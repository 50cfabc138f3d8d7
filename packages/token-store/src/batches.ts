import type { Database } from './database.ts';

/** What is known of a batch from the outcome reports so far. */
export interface Batch {
  readonly id: string;
  readonly app: string;
  readonly lane: string;
  /** Notifications it was enqueued with. */
  readonly size: number;
  readonly enqueuedAt: Date;
  readonly acceptedProved: number;
  readonly acceptedPresumed: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
  /** Sent again although the gateway may have had them. */
  readonly resentUncertain: number;
  readonly lastSettledAt: Date;
  /** Null: some are still queued. */
  readonly finishedAt: Date | null;
}

export interface BatchException {
  /** In the batch, from 1. */
  readonly index: number;
  /** Device token, hex. */
  readonly token: string;
  readonly outcome: 'rejected' | 'expired' | 'cancelled' | 'dead';
  readonly reason: string;
  readonly status: number | null;
  readonly at: Date;
}

export interface NotificationState {
  /** `accepted` when its push job has been reported and nothing was said against it. */
  readonly outcome: 'accepted' | BatchException['outcome'] | 'queued';
  readonly exception: BatchException | undefined;
  /** For `accepted`: whether every acceptance of its push job was proved, or some were presumed. */
  readonly certainty: 'proved' | 'presumed' | undefined;
  /** Of its push job; undefined: that has not been reported. */
  readonly firstIndex: number | undefined;
}

/** An exception, found by its device or its user. */
export interface FoundException extends BatchException {
  readonly batch: string;
}

/** Whose exceptions are meant: of one device, or of all devices that are known of a user, inactive ones too. */
export type ExceptionOwner = { readonly token: string } | { readonly userId: string };

/** What became of batches. Every method throws TokenStoreError. */
export interface Batches {
  /** Undefined: no outcome report of it has been applied, or it is too old. */
  find(batch: string): Promise<Batch | undefined>;
  /** Indexes of the first notifications of the push jobs that have been reported, in order. */
  reportedJobs(batch: string): Promise<number[]>;
  /** Those that were not simply accepted, in order. `after`: the index after which to begin. */
  exceptions(batch: string, options?: { after?: number; limit?: number }): Promise<BatchException[]>;
  /** Those of a device or a user, the newest first. `after`: the last one of the page before. */
  exceptionsOf(
    app: string,
    owner: ExceptionOwner,
    options: { after?: { batch: string; index: number } | undefined; limit: number },
  ): Promise<FoundException[]>;
  /** One notification of a batch; undefined: no outcome report of the batch has been applied. */
  notification(app: string, batch: string, index: number): Promise<NotificationState | undefined>;
}

/** Of a table or subquery `exceptions`, as a BatchException. */
export const exceptionColumns = `index::float8, encode(token, 'hex') as token, outcome, reason, status, at`;

const batchSql = `
  select id, app, lane, size, enqueued_at as "enqueuedAt", accepted_proved as "acceptedProved",
    accepted_presumed as "acceptedPresumed", rejected, expired, cancelled, dead,
    resent_uncertain as "resentUncertain", last_settled_at as "lastSettledAt", finished_at as "finishedAt"
  from batches where id = $1`;

export function createBatches(database: Database): Batches {
  return {
    async find(batch) {
      const { rows } = await database.query<Batch>(batchSql, [batch]);
      return rows[0];
    },
    async reportedJobs(batch) {
      const { rows } = await database.query<{ first: number }>(
        'select first_index::float8 as first from batch_jobs where batch = $1 order by first_index',
        [batch],
      );
      return rows.map(({ first }) => first);
    },
    async exceptions(batch, options = {}) {
      const { rows } = await database.query<BatchException>(
        `select ${exceptionColumns} from exceptions where batch = $1 and index > $2 order by index limit $3`,
        [batch, options.after ?? 0, options.limit ?? 1000],
      );
      return rows;
    },
    async exceptionsOf(app, owner, { after, limit }) {
      const tokens =
        'token' in owner
          ? `array[decode($2, 'hex')]`
          : 'array(select devices.token from devices where app = $1 and user_id = $2)';
      const { rows } = await database.query<FoundException>(
        `select batch, ${exceptionColumns} from exceptions
         where app = $1 and exceptions.token = any(${tokens})
           and ($3::uuid is null or (batch, exceptions.index) < ($3::uuid, $4::bigint))
         order by batch desc, exceptions.index desc limit $5`,
        [
          app,
          'token' in owner ? owner.token : owner.userId,
          after?.batch ?? null,
          after?.index ?? null,
          limit,
        ],
      );
      return rows;
    },
    async notification(app, batch, index) {
      const { rows } = await database.query<JobOfNotification>(
        `select j.accepted_presumed, j.first_index::float8 as first from batches b
         left join batch_jobs j on j.batch = b.id and j.first_index <= $3 and $3 < j.first_index + j.count
         where b.id = $2 and b.app = $1`,
        [app, batch, index],
      );
      const [job] = rows;
      if (job === undefined) return undefined;
      const exceptions = await database.query<BatchException>(
        `select ${exceptionColumns} from exceptions where batch = $1 and index = $2`,
        [batch, index],
      );
      const [exception] = exceptions.rows;
      const firstIndex = job.first ?? undefined;
      if (exception !== undefined) {
        return { outcome: exception.outcome, exception, certainty: undefined, firstIndex };
      }
      if (job.accepted_presumed === null) {
        return { outcome: 'queued', exception: undefined, certainty: undefined, firstIndex };
      }
      const certainty = job.accepted_presumed === 0 ? 'proved' : 'presumed';
      return { outcome: 'accepted', exception: undefined, certainty, firstIndex };
    },
  };
}

interface JobOfNotification {
  /** Null: the push job has not been reported. */
  readonly accepted_presumed: number | null;
  readonly first: number | null;
}
