import type { Statements } from '../database.ts';
import type { Audience, TagExpression } from './broadcast.ts';

// An audience as bytes: Postgres joins the tokens of a run of the key, so that no object is made per device.

export interface AudienceRun {
  readonly app: string;
  readonly audience: Audience;
  /** The token after which to begin. */
  readonly after: Buffer;
  /** The token at which to end, itself included; undefined: after `scan` rows. */
  readonly upTo?: Buffer | undefined;
  /** Rows to look at, whatever the audience. */
  readonly scan: number;
}

export interface AudienceColumns {
  /** Device tokens back to back, in the order of the key. */
  readonly tokens: Buffer;
  /** Length of each in bytes; one number: all the same. */
  readonly tokenLength: number | number[];
  readonly count: number;
  /** The last token that was looked at; undefined: there was none. */
  readonly last: Buffer | undefined;
  /** There is nothing after `last`. */
  readonly exhausted: boolean;
}

interface ColumnsRow {
  readonly last: Buffer | null;
  readonly scanned: number;
  readonly tokens: Buffer;
  readonly count: number;
  readonly shortest: number | null;
  readonly lengths: number[] | null;
}

/** @throws TokenStoreError */
export async function readAudienceColumns(database: Statements, run: AudienceRun): Promise<AudienceColumns> {
  const condition = new Condition([run.app, run.after, run.scan, run.upTo ?? null]);
  const sql = condition.of(run.audience);
  const { rows } = await database.query<ColumnsRow>(
    `with scanned as materialized (
       select token, user_id, tags, locale, time_zone, active from devices
       where app = $1 and token > $2 and ($4::bytea is null or token <= $4) order by app, token limit $3
     ), matched as materialized (
       select token, octet_length(token) as length from scanned where active and ${sql}
     ), sums as (
       select count(*)::integer as count, min(length) as shortest, max(length) as longest from matched
     )
     select (select token from scanned order by token desc limit 1) as last,
       (select count(*)::integer from scanned) as scanned,
       coalesce((select string_agg(token, ''::bytea order by token) from matched), '') as tokens,
       count, shortest,
       case when shortest < longest then (select array_agg(length order by token) from matched) end as lengths
     from sums`,
    condition.values,
  );
  const row = rows[0]!;
  return {
    tokens: row.tokens,
    tokenLength: row.lengths ?? row.shortest ?? 32,
    count: row.count,
    last: row.last ?? undefined,
    exhausted: run.upTo === undefined && row.scanned < run.scan,
  };
}

/** How many devices an audience has now; looks at all rows of the app, some at a time. @throws TokenStoreError */
export async function countAudience(database: Statements, app: string, audience: Audience): Promise<number> {
  const scan = 200_000;
  let after = Buffer.alloc(0);
  for (let count = 0; ; ) {
    const condition = new Condition([app, after, scan]);
    const sql = condition.of(audience);
    const { rows } = await database.query<{ last: Buffer | null; scanned: number; count: number }>(
      `with scanned as materialized (
         select token, user_id, tags, locale, time_zone, active from devices
         where app = $1 and token > $2 order by app, token limit $3
       )
       select (select token from scanned order by token desc limit 1) as last, count(*)::integer as scanned,
         count(*) filter (where active and ${sql})::integer as count from scanned`,
      condition.values,
    );
    const row = rows[0]!;
    count += row.count;
    if (row.scanned < scan || row.last === null) return count;
    after = Buffer.from(row.last);
  }
}

/** SQL over the columns of `devices`, with its parameters. */
class Condition {
  readonly values: unknown[];

  constructor(values: unknown[]) {
    this.values = values;
  }

  of({ tags, locales, timeZones, upload }: Audience): string {
    const conditions = ['true'];
    if (tags !== undefined) conditions.push(this.#ofTags(tags));
    if (locales !== undefined) conditions.push(`locale = any(${this.#parameter(locales)}::text[])`);
    if (timeZones !== undefined) conditions.push(`time_zone = any(${this.#parameter(timeZones)}::text[])`);
    if (upload !== undefined) {
      conditions.push(
        `exists (select from upload_users u where u.upload = ${this.#parameter(upload)}::uuid and u.user_id = scanned.user_id)`,
      );
    }
    return conditions.join(' and ');
  }

  #ofTags(expression: TagExpression): string {
    if (typeof expression === 'string') return `${this.#parameter(expression)}::text = any(tags)`;
    if ('not' in expression) return `not (${this.#ofTags(expression.not)})`;
    const isAnd = 'and' in expression;
    const parts = (isAnd ? expression.and : expression.or).map((part) => this.#ofTags(part));
    return `(${[isAnd ? 'true' : 'false', ...parts].join(isAnd ? ' and ' : ' or ')})`;
  }

  #parameter(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}
