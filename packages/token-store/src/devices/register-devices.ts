import type { DeviceToken } from '@pushfleet/apns-wire/device-token';
import type { Database } from '../database.ts';
import type { DeviceRegistration, RegistrationResult } from './device.ts';

// One statement for one device or thousands. `old` and `previous` say what was known; what a registration leaves out
// is taken from there. Rows are written in the order of tokens, so that registrations that meet wait for each other
// instead of locking each other out.

const registerSql = `
with input as materialized (
  select distinct on (i.token)
    decode(i.token, 'hex') as token, decode(i.previous, 'hex') as previous,
    i.user_id, i.tags, i.locale, i.time_zone, i.keeps,
    -- Never ahead: a time that is would outlive any evidence.
    least(coalesce(to_timestamp(i.registered_at_ms / 1000.0), now()), now()) as registered_at
  from jsonb_to_recordset($2::jsonb) as i (
    place integer, token text, previous text, user_id text, tags text[], locale text, time_zone text, keeps text[],
    registered_at_ms double precision
  )
  order by i.token, i.place desc
), old as materialized (
  select d.* from input i join devices d on d.app = $1 and d.token = i.token
), previous as (
  delete from devices d using input i
  where d.app = $1 and d.token = i.previous and i.previous <> i.token
    and not exists (select from input other where other.token = i.previous)
  returning d.token, d.user_id, d.tags, d.locale, d.time_zone, d.created_at, i.token as successor
), stored as (
  insert into devices as d (app, token, user_id, tags, locale, time_zone, registered_at, created_at)
  select $1, i.token,
    case when 'userId' = any(i.keeps) then coalesce(o.user_id, p.user_id) else i.user_id end,
    case when 'tags' = any(i.keeps) then coalesce(o.tags, p.tags, '{}') else i.tags end,
    case when 'locale' = any(i.keeps) then coalesce(o.locale, p.locale) else i.locale end,
    case when 'timeZone' = any(i.keeps) then coalesce(o.time_zone, p.time_zone) else i.time_zone end,
    i.registered_at, coalesce(p.created_at, now())
  from input i
  left join old o on o.token = i.token
  left join previous p on p.successor = i.token
  order by i.token
  on conflict (app, token) do update set
    user_id = excluded.user_id, tags = excluded.tags, locale = excluded.locale, time_zone = excluded.time_zone,
    registered_at = greatest(d.registered_at, excluded.registered_at),
    -- A registration that is equal to or later than the evidence stands against it; one of now always does.
    active = d.active or excluded.registered_at >= least(d.evidence_at, now()),
    deactivated_at = case when excluded.registered_at >= least(d.evidence_at, now()) then null else d.deactivated_at end,
    deactivated_source =
      case when excluded.registered_at >= least(d.evidence_at, now()) then null else d.deactivated_source end,
    deactivated_status =
      case when excluded.registered_at >= least(d.evidence_at, now()) then null else d.deactivated_status end,
    evidence_at = case when excluded.registered_at >= least(d.evidence_at, now()) then null else d.evidence_at end
  returning d.token, d.user_id, d.tags, d.locale, d.time_zone, d.active, xmax = 0 as created
), result as (
  select s.token, s.created,
    coalesce(s.active and not o.active, false) as reactivated,
    coalesce(o.user_id is distinct from s.user_id and o.user_id is not null, false) as moved,
    o.token is not null and (o.user_id, o.tags, o.locale, o.time_zone)
      is distinct from (s.user_id, s.tags, s.locale, s.time_zone) as updated,
    o.user_id as old_user, s.user_id, p.token as replaced
  from stored s left join old o on o.token = s.token left join previous p on p.successor = s.token
), forgotten as (
  -- A token that is gone leaves no user in its history.
  update device_changes c set detail = null from result r
  where c.app = $1 and c.token = r.replaced and c.kind = 'moved'
), changes as (
  insert into device_changes (app, token, kind, detail)
  select $1, token,
    case when created then 'registered' when reactivated then 'reactivated' when moved then 'moved' else 'updated' end,
    case when moved then jsonb_build_object('fromUser', old_user, 'toUser', user_id) end
  from result where created or reactivated or updated
  union all
  select $1, replaced, 'replaced', jsonb_build_object('by', encode(token, 'hex')) from result where replaced is not null
)
select encode(token, 'hex') as token, created, reactivated, moved, replaced is not null as replaced from result`;

/**
 * Registers devices, or refreshes their registrations; of a token that comes twice the last one counts. The order of
 * the results is that of nobody: they carry their tokens.
 * @throws TokenStoreError
 */
export async function registerDevices(
  database: Database,
  app: string,
  registrations: readonly DeviceRegistration[],
): Promise<RegistrationResult[]> {
  if (registrations.length === 0) return [];
  const input = registrations.map((registration, place) => ({
    place,
    token: registration.token,
    previous: registration.previousToken,
    user_id: registration.userId,
    tags: registration.tags === undefined ? undefined : [...new Set(registration.tags)],
    locale: registration.locale,
    time_zone: registration.timeZone,
    keeps: (['userId', 'tags', 'locale', 'timeZone'] as const).filter(
      (name) => registration[name] === undefined,
    ),
    registered_at_ms: registration.registeredAt?.getTime(),
  }));
  const { rows } = await database.query<RegistrationResult & { token: DeviceToken }>(registerSql, [
    app,
    JSON.stringify(input),
  ]);
  return rows;
}
