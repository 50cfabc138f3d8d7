import type { QueryResultRow } from 'pg';
import type { Queryable } from '../database.ts';
import type { DeactivationSource } from '../devices/device.ts';

/** Somebody's word that a token is no good any more. */
export interface Evidence {
  readonly app: string;
  /** Hex. */
  readonly token: string;
  /** The device stays when it was registered at this time or later. Epoch milliseconds. */
  readonly atMs: number;
  readonly source: DeactivationSource;
  readonly status: number | null;
}

export interface Deactivated extends QueryResultRow {
  readonly app: string;
  readonly source: DeactivationSource;
  readonly count: number;
}

/** Devices in one event at most. */
const maxEventDevices = 500;

/**
 * What follows from devices having been deactivated, for a CTE `deactivated` with the columns app, token, user_id,
 * source, status and evidence_at: a line of history each, and events of up to `maxEventDevices` devices
 * of one source and status.
 */
export const deactivationEffectsSql = `
changes as (
  insert into device_changes (app, token, kind, source, status, evidence_at)
  select app, token, 'deactivated', source, status, evidence_at from deactivated
), told as (
  insert into events (app, kind, payload)
  select app, 'devices.deactivated', jsonb_build_object('source', source, 'status', status, 'devices',
    jsonb_agg(jsonb_build_object('token', encode(token, 'hex'), 'userId', user_id, 'evidenceAt', evidence_at)))
  from (
    select *, (row_number() over (partition by app, source, status) - 1) / ${maxEventDevices} as part from deactivated
  ) parted
  group by app, source, status, part
)`;

const deactivateSql = `
with evidence as materialized (
  select distinct on (e.app, e.token) e.app, decode(e.token, 'hex') as token, to_timestamp(e.at_ms / 1000.0) as at,
    e.source, e.status
  from jsonb_to_recordset($1::jsonb) as e (app text, token text, at_ms double precision, source text, status integer)
  order by e.app, e.token, e.at_ms desc
), target as materialized (
  select d.ctid, d.app, d.token, d.user_id, e.at, e.source, e.status
  from evidence e join devices d on d.app = e.app and d.token = e.token
  where d.active and d.registered_at < e.at
  order by d.app, d.token for update of d
), deactivated as (
  update devices d set active = false, deactivated_at = now(), deactivated_source = t.source,
    deactivated_status = t.status, evidence_at = t.at
  from target t where d.ctid = t.ctid
  returning d.app, d.token, d.user_id, t.source, t.status, d.evidence_at
), ${deactivationEffectsSql}
select app, source, count(*)::integer as count from deactivated group by app, source`;

/**
 * Deactivates devices whose last registration is older than the evidence
 * (`docs/protocol/feedback.md#registration-decides`). Rows are locked in the order of their keys, so that sweepers
 * that meet wait for each other. Returns how many, by app and source.
 */
export async function deactivateByEvidence(
  client: Queryable,
  evidence: readonly Evidence[],
): Promise<Deactivated[]> {
  if (evidence.length === 0) return [];
  const input = evidence.map(({ app, token, atMs, source, status }) => ({
    app,
    token,
    at_ms: atMs,
    source,
    status,
  }));
  const { rows } = await client.query<Deactivated>(deactivateSql, [JSON.stringify(input)]);
  return rows;
}
