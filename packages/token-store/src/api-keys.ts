import { createHash, randomBytes } from 'node:crypto';
import type { Database } from './database.ts';
import { TokenStoreError } from './token-store-error.ts';

/** What a key is good for; `admin` is good for everything. */
export const apiKeyScopes = ['send', 'read', 'devices', 'admin'] as const;
export type ApiKeyScope = (typeof apiKeyScopes)[number];

/** A key of the HTTP API, as far as it is kept. */
export interface ApiKey {
  /** Part of the key's text; no secret. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the key's text. */
  readonly hash: Buffer;
  /** Null: all apps. */
  readonly apps: readonly string[] | null;
  readonly scopes: readonly ApiKeyScope[];
  /** Requests a second, at each producer; null: as the producer says. */
  readonly ratePerSecond: number | null;
  readonly createdAt: Date;
  readonly revokedAt: Date | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly apps: readonly string[] | null;
  readonly scopes: readonly ApiKeyScope[];
  readonly ratePerSecond?: number;
}

export interface ApiKeys {
  /**
   * Makes a key. Its text is told this once.
   * @throws TokenStoreError, `name-taken` when there is one of that name in force
   */
  create(key: NewApiKey): Promise<{ key: ApiKey; text: string }>;
  /** Revoked ones too, the newest first. @throws TokenStoreError */
  list(): Promise<ApiKey[]>;
  /** By id or name; false: there is none that is in force. @throws TokenStoreError */
  revoke(idOrName: string): Promise<boolean>;
}

/** The id in a key's text; undefined: it is no key. */
export function apiKeyId(text: string): string | undefined {
  return /^pf_([0-9a-f]{16})_[\w-]{43}$/.exec(text)?.[1];
}

export function hashApiKey(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

const columns = `id, name, hash, apps, scopes, rate_per_second as "ratePerSecond", created_at as "createdAt",
  revoked_at as "revokedAt"`;

export function createApiKeys(database: Database): ApiKeys {
  return {
    async create({ name, apps, scopes, ratePerSecond }) {
      const id = randomBytes(8).toString('hex');
      const text = `pf_${id}_${randomBytes(32).toString('base64url')}`;
      const { rows } = await database.query<ApiKey>(
        `insert into api_keys (id, name, hash, apps, scopes, rate_per_second) values ($1, $2, $3, $4, $5, $6)
         on conflict (name) where revoked_at is null do nothing returning ${columns}`,
        [id, name, hashApiKey(text), apps, scopes, ratePerSecond ?? null],
      );
      if (rows[0] === undefined) {
        throw new TokenStoreError(
          'name-taken',
          `there is a key of the name ${name}; revoke it, or take another name`,
        );
      }
      return { key: rows[0], text };
    },
    async list() {
      const { rows } = await database.query<ApiKey>(
        `select ${columns} from api_keys order by created_at desc, id`,
      );
      return rows;
    },
    async revoke(idOrName) {
      const { rowCount } = await database.query(
        'update api_keys set revoked_at = now() where (id = $1 or name = $1) and revoked_at is null',
        [idOrName],
      );
      return rowCount !== 0;
    },
  };
}
