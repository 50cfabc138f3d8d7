import { timingSafeEqual } from 'node:crypto';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { Logger } from '@pushfleet/service-kit';
import { type ApiKey, apiKeyId, apiKeyScopes, hashApiKey } from '@pushfleet/token-store';
import { z } from 'zod';
import type { DatabaseLink } from '../database-link.ts';
import { Problem } from '../http/problem.ts';
import type { Grant } from './grant.ts';

// The keys in force, all of them in memory: they are few, and a send must not wait for Postgres. They are read anew
// every few seconds, so a key that is revoked is of no use soon after. While Postgres is away the last ones read stand;
// a copy in Redis serves producers that start meanwhile.

export interface KeyRingOptions {
  readonly database: DatabaseLink;
  readonly redis: StatusOptions;
  readonly logger: Logger;
  /** Between readings, milliseconds. */
  readonly refreshMs?: number;
}

interface RingedKey {
  readonly hash: Buffer;
  readonly grant: Grant;
}

const copySchema = z.array(
  z.object({
    id: z.string(),
    hash: z.string(),
    apps: z.array(z.string()).nullable(),
    scopes: z.array(z.enum(apiKeyScopes)),
    ratePerSecond: z.int().nullable(),
  }),
);
type KeyCopy = z.infer<typeof copySchema>[number];

export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #timer: NodeJS.Timeout;
  #keys: ReadonlyMap<string, RingedKey> | undefined;
  #copy = '';
  #reading: Promise<void> | undefined;

  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.refresh(), options.refreshMs ?? 2_000);
    void this.refresh();
  }

  /** @throws Problem `unauthorized`, or `keys-unavailable` when no keys have been read yet */
  verify(authorization: string | undefined): Grant {
    if (this.#keys === undefined) {
      throw new Problem('keys-unavailable', 'the keys have not been read since the start');
    }
    const text = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (text === undefined) throw new Problem('unauthorized', 'a key is needed: Authorization: Bearer <key>');
    const id = apiKeyId(text);
    const key = id === undefined ? undefined : this.#keys.get(id);
    if (key !== undefined && timingSafeEqual(key.hash, hashApiKey(text))) return key.grant;
    throw new Problem('unauthorized', 'the key is unknown, or has been revoked');
  }

  /** Reads the keys; one reading at a time. Never rejects. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { database, logger } = this.#options;
    try {
      const keys = await database.store.apiKeys.list();
      const inForce = keys.filter(({ revokedAt }) => revokedAt === null).map(toCopy);
      this.#keys = new Map(inForce.map((key) => [key.id, toRinged(key)]));
      await this.#keepCopy(JSON.stringify(inForce));
    } catch (err) {
      if (this.#keys === undefined) await this.#readCopy();
      logger.debug({ err }, 'the keys could not be read');
    }
  }

  async #keepCopy(copy: string): Promise<void> {
    if (copy === this.#copy) return;
    const { redis } = this.#options.redis;
    try {
      await redis.set(this.#copyKey, copy);
      this.#copy = copy;
    } catch (err) {
      this.#options.logger.debug({ err }, 'the copy of the keys could not be written');
    }
  }

  async #readCopy(): Promise<void> {
    const { redis } = this.#options.redis;
    const copy = await redis.get(this.#copyKey).catch(() => null);
    if (copy === null) return;
    const keys = copySchema.parse(JSON.parse(copy));
    this.#keys = new Map(keys.map((key) => [key.id, toRinged(key)]));
  }

  get #copyKey(): string {
    return `${this.#options.redis.prefix}:api-keys`;
  }
}

function toCopy({ id, hash, apps, scopes, ratePerSecond }: ApiKey): KeyCopy {
  return {
    id,
    hash: hash.toString('base64'),
    apps: apps === null ? null : [...apps],
    scopes: [...scopes],
    ratePerSecond,
  };
}

function toRinged({ id, hash, apps, scopes, ratePerSecond }: KeyCopy): RingedKey {
  return {
    hash: Buffer.from(hash, 'base64'),
    grant: {
      keyId: id,
      apps: apps === null ? undefined : new Set(apps),
      scopes: new Set(scopes),
      ratePerSecond: ratePerSecond ?? undefined,
    },
  };
}
