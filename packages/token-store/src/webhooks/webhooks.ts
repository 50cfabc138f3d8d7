import type { Statements } from '../database.ts';
import type { EventKind } from '../events.ts';

export interface Webhook {
  readonly id: string;
  readonly app: string;
  readonly url: string;
  /** Null: all. */
  readonly kinds: readonly EventKind[] | null;
  /** Whether anything is delivered; the far end may have said that it is gone. */
  readonly active: boolean;
  readonly createdAt: Date;
}

export interface NewWebhook extends Pick<Webhook, 'id' | 'app' | 'url' | 'kinds'> {
  /** Signs what is delivered. */
  readonly secret: Buffer;
}

export const deliveryStates = ['pending', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** One event on its way to one webhook, as the log shows it. */
export interface Delivery {
  readonly id: string;
  readonly event: string;
  readonly kind: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly occurredAt: Date;
  /** Of `pending`. */
  readonly nextAttemptAt: Date;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly settledAt: Date | null;
}

/** A delivery that has been taken to be made now. */
export interface TakenDelivery {
  readonly id: string;
  readonly webhook: string;
  readonly app: string;
  readonly url: string;
  readonly secret: Buffer;
  readonly event: string;
  readonly kind: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly occurredAt: Date;
  /** This one included. */
  readonly attempts: number;
}

/** How an attempt ended. */
export interface AttemptResult {
  readonly state: DeliveryState;
  /** Of `pending`: until the next one, milliseconds. */
  readonly retryInMs?: number;
  readonly status?: number | undefined;
  readonly error?: string | undefined;
}

export interface TakeOptions {
  /** At most, of each webhook: one that is slow must not hold up the others. */
  readonly perWebhook: number;
  /** At most, of single webhooks, by their ids: those that have deliveries under way, or are slow. */
  readonly rooms?: ReadonlyMap<string, number>;
  readonly limit: number;
  /** When nothing is heard of an attempt for so long it is made again, milliseconds. */
  readonly leaseMs: number;
}

/** Webhooks and their deliveries. Every method throws TokenStoreError. */
export interface Webhooks {
  create(webhook: NewWebhook): Promise<Webhook>;
  get(id: string): Promise<Webhook | undefined>;
  /** In the order of their ids. `after`: an id. */
  list(app: string, page: { after?: string | undefined; limit: number }): Promise<Webhook[]>;
  /** With its deliveries. False: there is none. */
  remove(id: string): Promise<boolean>;
  deactivate(id: string): Promise<void>;
  /**
   * Has a `webhook.test` delivered, as an event of its own; returns the id of the delivery. Undefined: the webhook is gone,
   * or not active.
   */
  test(id: string): Promise<string | undefined>;
  /**
   * Has deliveries that failed made again from the beginning, all or those of these ids; gives their ids. None while the
   * webhook is not active.
   */
  resend(id: string, deliveries?: readonly string[]): Promise<string[]>;
  /** The newest first. `before`: an id. */
  deliveries(id: string, page: { before?: string | undefined; limit: number }): Promise<Delivery[]>;

  /**
   * Makes deliveries of events that nobody has passed on yet, and gives up those of webhooks that are not active any more;
   * gives how many events.
   */
  dispatch(limit: number): Promise<number>;
  /** Deliveries that are due, of webhooks in any order. */
  take(options: TakeOptions): Promise<TakenDelivery[]>;
  settle(delivery: TakenDelivery, result: AttemptResult): Promise<void>;
}

const columns = 'id, app, url, kinds, active, created_at as "createdAt"';

export function createWebhooks(database: Statements): Webhooks {
  return {
    async create({ id, app, url, kinds, secret }) {
      const { rows } = await database.query<Webhook>(
        `insert into webhooks (id, app, url, kinds, secret) values ($1, $2, $3, $4, $5) returning ${columns}`,
        [id, app, url, kinds, secret],
      );
      return rows[0]!;
    },
    async get(id) {
      const { rows } = await database.query<Webhook>(`select ${columns} from webhooks where id = $1`, [id]);
      return rows[0];
    },
    async list(app, { after, limit }) {
      const { rows } = await database.query<Webhook>(
        `select ${columns} from webhooks where app = $1 and ($2::uuid is null or id > $2) order by id limit $3`,
        [app, after ?? null, limit],
      );
      return rows;
    },
    async remove(id) {
      const { rowCount } = await database.query('delete from webhooks where id = $1', [id]);
      return rowCount === 1;
    },
    async deactivate(id) {
      await database.query('update webhooks set active = false where id = $1', [id]);
    },
    async test(id) {
      // Numbers below 0 are of no event: each test has one of its own.
      const { rows } = await database.query<{ id: string }>(
        `insert into webhook_deliveries (webhook, event, kind, payload, occurred_at)
         select id, -(extract(epoch from clock_timestamp()) * 1000000)::bigint, 'webhook.test',
           jsonb_build_object('webhookId', id, 'message', 'This is a test: nothing has happened.'), now()
         from webhooks where id = $1 and active
         returning id::text`,
        [id],
      );
      return rows[0]?.id;
    },
    async resend(id, deliveries) {
      const { rows } = await database.query<{ id: string }>(
        `update webhook_deliveries d set state = 'pending', attempts = 0, next_attempt_at = now(), settled_at = null
         from webhooks w
         where w.id = $1 and w.active and d.webhook = w.id and d.state = 'failed'
           and ($2::bigint[] is null or d.id = any($2))
         returning d.id::text`,
        [id, deliveries ?? null],
      );
      return rows.map((row) => row.id).toSorted((one, other) => Number(one) - Number(other));
    },
    async deliveries(id, { before, limit }) {
      const { rows } = await database.query<Delivery>(
        `select id::text, event::text, kind, state, attempts, occurred_at as "occurredAt",
           next_attempt_at as "nextAttemptAt", last_status as "lastStatus", last_error as "lastError",
           settled_at as "settledAt"
         from webhook_deliveries where webhook = $1 and ($2::bigint is null or id < $2) order by id desc limit $3`,
        [id, before ?? null, limit],
      );
      return rows;
    },
    async dispatch(limit) {
      const { rows } = await database.query<{ events: number }>(
        `with taken as (
           select id, app, kind, payload, created_at from events where dispatched_at is null
           order by id limit $1 for update skip locked
         ), made as (
           insert into webhook_deliveries (webhook, event, kind, payload, occurred_at)
           select w.id, t.id, t.kind, t.payload, t.created_at from taken t
           join webhooks w on w.app = t.app and w.active and (w.kinds is null or t.kind = any(w.kinds))
         ), marked as (
           update events e set dispatched_at = now() from taken t where e.id = t.id
         ), given_up as (
           update webhook_deliveries d set state = 'failed', settled_at = now(),
             last_error = 'not delivered: the webhook is not active any more'
           from webhooks w where w.id = d.webhook and not w.active and d.state = 'pending'
         )
         select count(*)::integer as events from taken`,
        [limit],
      );
      return rows[0]!.events;
    },
    async take({ perWebhook, rooms = new Map(), limit, leaseMs }) {
      const { rows } = await database.query<TakenDelivery>(
        `with due as (
           select d.id from (
             select w.id, coalesce(r.room, $1) as room from webhooks w
             left join unnest($4::uuid[], $5::integer[]) as r (id, room) on r.id = w.id
             where w.active order by random()
           ) w cross join lateral (
             select id from webhook_deliveries
             where webhook = w.id and state = 'pending' and next_attempt_at <= now()
             order by next_attempt_at limit w.room for update skip locked
           ) d limit $2
         )
         update webhook_deliveries d set attempts = attempts + 1, next_attempt_at = now() + $3 * interval '1 ms'
         from due, webhooks w where d.id = due.id and w.id = d.webhook
         returning d.id::text, d.webhook, w.app, w.url, w.secret, d.event::text, d.kind, d.payload,
           d.occurred_at as "occurredAt", d.attempts`,
        [perWebhook, limit, leaseMs, [...rooms.keys()], [...rooms.values()]],
      );
      return rows;
    },
    async settle({ id, attempts }, { state, retryInMs = 0, status, error }) {
      await database.query(
        `update webhook_deliveries set state = $3, last_status = $4, last_error = $5,
           next_attempt_at = now() + $6 * interval '1 ms', settled_at = case when $3 = 'pending' then null else now() end
         -- What has arrived has, also when it was given up meanwhile.
         where id = $1 and attempts = $2 and (state = 'pending' or $3 = 'delivered')`,
        [id, attempts, state, status ?? null, error ?? null, retryInMs],
      );
    },
  };
}
