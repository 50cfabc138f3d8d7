import type { Statements } from '../database.ts';
import { TokenStoreError } from '../token-store-error.ts';
import { type ApiKey, createApiKeyId, createApiKeyText, hashApiKey, type NewApiKey } from './api-key.ts';

/** A key, and its text, which is told this once. */
export interface ToldApiKey {
  readonly key: ApiKey;
  readonly text: string;
}

export interface ApiKeyPage {
  /** An id: those that come after it. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Keys of the HTTP API. Every method throws TokenStoreError. */
export interface ApiKeys {
  /** Makes a key. `name-taken`: there is one of that name in force. */
  create(key: NewApiKey): Promise<ToldApiKey>;
  /** A page of all of them, revoked ones too, the newest first. */
  list(page?: ApiKeyPage): Promise<ApiKey[]>;
  /** A page of those in force, in the order of their ids. */
  inForce(page: ApiKeyPage): Promise<ApiKey[]>;
  /** That in force of an id, in either case, or of a name. */
  find(idOrName: string): Promise<ApiKey | undefined>;
  /**
   * Sets a new secret for a key in force. The one it had is good until `previousUntil`, at most as long as the key would have
   * been; the one before that no more. Undefined: there is none in force of that id.
   * @param expiresAt From when on the key is of no use; undefined: as before
   */
  rotate(
    id: string,
    options: { readonly previousUntil: Date; readonly expiresAt?: Date | undefined },
  ): Promise<ToldApiKey | undefined>;
  /** By id or name; false: there is none that is in force. */
  revoke(idOrName: string): Promise<boolean>;
  /** Notes when keys were last used, by their ids. */
  noteUses(uses: ReadonlyMap<string, Date>): Promise<void>;
}

const columns = `id, name, hash, apps, scopes, rate_per_second as "ratePerSecond", created_at as "createdAt",
  expires_at as "expiresAt", rotated_at as "rotatedAt", previous_hash as "previousHash",
  previous_until as "previousUntil", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`;

const isInForce = 'revoked_at is null and (expires_at is null or expires_at > now())';

export function createApiKeys(database: Statements): ApiKeys {
  const find: ApiKeys['find'] = async (idOrName) => {
    const { rows } = await database.query<ApiKey>(
      `select ${columns} from api_keys where (id = lower($1) or name = $1) and ${isInForce}
       order by id = lower($1) desc limit 1`,
      [idOrName],
    );
    return rows[0];
  };
  return {
    async create({ name, apps, scopes, ratePerSecond, expiresAt }) {
      // The name of a key that has expired can be used again, as that of one that was revoked.
      await database.query(
        `update api_keys set revoked_at = expires_at where name = $1 and revoked_at is null and expires_at <= now()`,
        [name],
      );
      const id = createApiKeyId();
      const text = createApiKeyText(id);
      const { rows } = await database.query<ApiKey>(
        `insert into api_keys (id, name, hash, apps, scopes, rate_per_second, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (name) where revoked_at is null do nothing returning ${columns}`,
        [id, name, hashApiKey(text), apps, scopes, ratePerSecond ?? null, expiresAt ?? null],
      );
      if (rows[0] === undefined) {
        throw new TokenStoreError(
          'name-taken',
          `there is a key of the name ${name}; rotate it, revoke it, or take another name`,
        );
      }
      return { key: rows[0], text };
    },
    async list({ after, limit } = { limit: 1_000 }) {
      const { rows } = await database.query<ApiKey>(
        `select ${columns} from api_keys
         where $1::text is null or (created_at, id) < (select created_at, id from api_keys where id = lower($1))
         order by created_at desc, id desc limit $2`,
        [after ?? null, limit],
      );
      return rows;
    },
    async inForce({ after = '', limit }) {
      const { rows } = await database.query<ApiKey>(
        `select ${columns} from api_keys where id > $1 and ${isInForce} order by id limit $2`,
        [after, limit],
      );
      return rows;
    },
    find,
    async rotate(id, { previousUntil, expiresAt }) {
      const text = createApiKeyText(id);
      const { rows } = await database.query<ApiKey>(
        `update api_keys set previous_hash = hash, previous_until = least($3, expires_at), hash = $2, rotated_at = now(),
           expires_at = coalesce($4, expires_at)
         where id = $1 and ${isInForce} returning ${columns}`,
        [id, hashApiKey(text), previousUntil, expiresAt ?? null],
      );
      return rows[0] === undefined ? undefined : { key: rows[0], text };
    },
    async revoke(idOrName) {
      const key = await find(idOrName);
      if (key === undefined) return false;
      const { rowCount } = await database.query(
        'update api_keys set revoked_at = now() where id = $1 and revoked_at is null',
        [key.id],
      );
      return rowCount !== 0;
    },
    async noteUses(uses) {
      await database.query(
        `update api_keys k set last_used_at = u.at from unnest($1::text[], $2::timestamptz[]) as u (id, at)
         where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at)`,
        [[...uses.keys()], [...uses.values()]],
      );
    },
  };
}
