import type { Statements } from '../database.ts';
import { storableJson, storableText } from '../storable-text.ts';
import type { AuditAction, AuditEntry } from './audit-entry.ts';

/** Which entries are asked for; what is undefined does not count. */
export interface AuditQuery {
  /** Entries of any of these apps; undefined: of all, and those of no app. */
  readonly apps?: readonly string[] | undefined;
  /** Id or name of a key, or `user@host`. */
  readonly actor?: string | undefined;
  readonly action?: AuditAction | undefined;
  readonly target?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  /** An id: those that are older. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Who did what. Every method throws TokenStoreError. */
export interface AuditLog {
  /** Writes entries; of one that is there, what has become of it since. */
  write(entries: readonly AuditEntry[]): Promise<void>;
  /** The newest first. */
  list(query: AuditQuery): Promise<AuditEntry[]>;
}

interface AuditRow extends Omit<AuditEntry, 'actor'> {
  readonly kind: AuditEntry['actor']['kind'];
  readonly actor: string | null;
  readonly name: string | null;
}

const columns = `id, at, actor_kind as kind, actor, actor_name as name, address, request_id as "requestId", action, app,
  target, before, after, result`;

const writeSql = `
insert into audit_log as a (id, at, actor_kind, actor, actor_name, address, request_id, action, app, target, before, after,
  result)
select * from jsonb_to_recordset($1::jsonb) as r (id uuid, at timestamptz, kind text, actor text, name text, address text,
  "requestId" text, action text, app text, target text, before jsonb, after jsonb, result text)
order by id
on conflict (id) do update set before = excluded.before, after = excluded.after, result = excluded.result
where a.result = 'begun'`;

export function createAuditLog(database: Statements): AuditLog {
  return {
    async write(entries) {
      const rows = entries.map(({ actor: { kind, id: actor, name }, ...entry }) => ({
        ...entry,
        ...{ kind, actor, name },
      }));
      await database.query(writeSql, [storableJson(rows)]);
    },
    async list({ apps, actor, action, target, since, until, before, limit }) {
      const { rows } = await database.query<AuditRow>(
        `select ${columns} from audit_log
         where ($1::text[] is null or app = any($1)) and ($2::text is null or actor = $2 or actor_name = $2)
           and ($3::text is null or action = $3) and ($4::text is null or target = $4)
           and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
           and ($7::uuid is null or id < $7)
         order by id desc limit $8`,
        [
          apps ?? null,
          actor === undefined ? null : storableText(actor),
          action ?? null,
          target === undefined ? null : storableText(target),
          ...[since ?? null, until ?? null, before ?? null, limit],
        ],
      );
      return rows.map(({ kind, actor: id, name, ...row }) => ({ ...row, actor: { kind, id, name } }));
    },
  };
}
