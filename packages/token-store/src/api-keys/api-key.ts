import { createHash, randomBytes } from 'node:crypto';

/** What a key can be good for; `admin` is everything. docs/http-api.md#keys says what each of them is. */
export const apiKeyScopes = [
  'send',
  'broadcast',
  'cancel',
  'read',
  'exceptions',
  'tokens',
  'devices',
  'audit',
  'admin',
] as const;
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
  /** May hold scopes of a newer version, which are good for nothing here. */
  readonly scopes: readonly string[];
  /** Requests a second, at each producer; null: as the producer says. */
  readonly ratePerSecond: number | null;
  readonly createdAt: Date;
  /** From when on it is of no use; null: it does not expire. */
  readonly expiresAt: Date | null;
  /** When it last got a new secret; null: it has its first. */
  readonly rotatedAt: Date | null;
  /** SHA-256 of the key's text before it was rotated, and until when that is good. */
  readonly previousHash: Buffer | null;
  readonly previousUntil: Date | null;
  /** To the minute; null: it was not used yet. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly apps: readonly string[] | null;
  readonly scopes: readonly ApiKeyScope[];
  readonly ratePerSecond?: number | undefined;
  readonly expiresAt?: Date | undefined;
}

/** The id in a key's text; undefined: it is no key. */
export function apiKeyId(text: string): string | undefined {
  return /^pf_([0-9a-f]{16})_[\w-]{43}$/.exec(text)?.[1];
}

export function hashApiKey(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function createApiKeyId(): string {
  return randomBytes(8).toString('hex');
}

/** The whole text of a key, with a new secret. */
export function createApiKeyText(id: string): string {
  return `pf_${id}_${randomBytes(32).toString('base64url')}`;
}
