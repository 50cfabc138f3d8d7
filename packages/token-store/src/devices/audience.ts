import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import type { Database } from '../database.ts';

/** Which active devices of an app; conditions that are left out hold for every device, and all of the others must. */
export interface AudienceFilter {
  readonly allTags?: readonly string[];
  readonly anyTags?: readonly string[];
  readonly noTags?: readonly string[];
  readonly locales?: readonly string[];
  readonly timeZones?: readonly string[];
  readonly userIds?: readonly string[];
  readonly registeredSince?: Date;
}

export interface AudienceDevice {
  readonly token: DeviceToken;
  readonly userId: string | null;
  readonly locale: string | null;
  readonly timeZone: string | null;
}

export interface AudiencePage {
  readonly devices: readonly AudienceDevice[];
  /** Where the next page begins: give it as `after`. Undefined: that was the last one. */
  readonly next: DeviceToken | undefined;
}

export interface AudiencePageOptions {
  readonly filter?: AudienceFilter;
  /** The token after which to begin. */
  readonly after?: DeviceToken | undefined;
  /** Rows to look at, and so devices at most; 10,000 by default. A page may be empty and yet not the last one. */
  readonly scan?: number;
}

/** SQL over the columns of `devices`; parameters from $4 on. */
function conditionsOf(filter: AudienceFilter): { readonly sql: string; readonly values: unknown[] } {
  const values: unknown[] = [];
  const conditions = ['active'];
  const add = (value: unknown, toSql: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(toSql(`$${values.length + 3}`));
  };
  add(filter.allTags, (tags) => `tags @> ${tags}::text[]`);
  add(filter.anyTags, (tags) => `tags && ${tags}::text[]`);
  add(filter.noTags, (tags) => `not tags && ${tags}::text[]`);
  add(filter.locales, (locales) => `locale = any(${locales}::text[])`);
  add(filter.timeZones, (zones) => `time_zone = any(${zones}::text[])`);
  add(filter.userIds, (users) => `user_id = any(${users}::text[])`);
  add(filter.registeredSince, (since) => `registered_at >= ${since}::timestamptz`);
  return { sql: conditions.join(' and '), values };
}

interface PageRow {
  readonly last: DeviceToken | null;
  readonly scanned: number;
  readonly token: DeviceToken | null;
  readonly user_id: string | null;
  readonly locale: string | null;
  readonly time_zone: string | null;
}

/**
 * One page of an audience in the order of the primary key. Looks at `scan` rows whatever the filter, so that no filter
 * makes one statement long: a rare audience gives many pages with little in them.
 * @throws TokenStoreError
 */
export async function readAudiencePage(
  database: Database,
  app: string,
  options: AudiencePageOptions = {},
): Promise<AudiencePage> {
  const scan = options.scan ?? 10_000;
  const { sql, values } = conditionsOf(options.filter ?? {});
  const { rows } = await database.query<PageRow>(
    `with scanned as materialized (
       select token, user_id, tags, locale, time_zone, registered_at, active from devices
       where app = $1 and token > $2 order by app, token limit $3
     ), bounds as (
       select (select token from scanned order by token desc limit 1) as last, (select count(*)::integer from scanned) as scanned
     )
     select encode(b.last, 'hex') as last, b.scanned, encode(s.token, 'hex') as token, s.user_id, s.locale, s.time_zone
     from bounds b left join (select * from scanned where ${sql}) s on true order by s.token`,
    [app, Buffer.from(options.after ?? '', 'hex'), scan, ...values],
  );
  const [first] = rows;
  return {
    devices: rows.flatMap((row) =>
      row.token === null
        ? []
        : [{ token: row.token, userId: row.user_id, locale: row.locale, timeZone: row.time_zone }],
    ),
    next: first === undefined || first.last === null || first.scanned < scan ? undefined : first.last,
  };
}

/** An audience page by page; begins anywhere, so that a broadcast can resume where it stopped. @throws TokenStoreError */
export async function* streamAudience(
  database: Database,
  app: string,
  options: AudiencePageOptions = {},
): AsyncGenerator<AudiencePage> {
  let after = options.after;
  for (;;) {
    const page = await readAudiencePage(database, app, { ...options, after });
    yield page;
    if (page.next === undefined) return;
    after = page.next;
  }
}
