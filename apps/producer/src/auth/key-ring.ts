import { timingSafeEqual } from 'node:crypto';
import type { StatusOptions } from '@pushfleet/push-queue/status';
import type { Logger } from '@pushfleet/service-kit';
import { type ApiKey, apiKeyId, hashApiKey } from '@pushfleet/token-store';
import type { DatabaseLink } from '../database-link.ts';
import { Problem } from '../http/problem.ts';
import type { Grant } from './grant.ts';
import { formatCopy, parseCopy, type RingedKey } from './key-copy.ts';

// The keys in force, all of them in memory: they are few, and a send must not wait for Postgres. They are read anew
// every few seconds, so a key that is revoked is of no use soon after. While Postgres is away the last ones read stand;
// a copy in Redis serves producers that start meanwhile. When keys were used is written down on the way.

export interface KeyRingOptions {
  readonly database: DatabaseLink;
  readonly redis: StatusOptions;
  readonly logger: Logger;
  /** Between readings, milliseconds. */
  readonly refreshMs?: number;
}

/** Keys that are read at once. */
const pageSize = 1_000;
/** Between two notes of the use of one key, milliseconds. */
const useNoteMs = 60_000;

export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #timer: NodeJS.Timeout;
  #keys: ReadonlyMap<string, RingedKey> | undefined;
  /** Some of a copy could not be read: a key that is not among them may be good. */
  #isPartial = false;
  #copy = '';
  #hasToldOfCopy = false;
  #reading: Promise<void> | undefined;
  /** When keys were used since that was last noted, and when it was, epoch milliseconds. */
  readonly #usedMs = new Map<string, number>();
  readonly #notedMs = new Map<string, number>();

  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.refresh(), options.refreshMs ?? 2_000);
    void this.refresh();
  }

  /**
   * What a request may do, whose key is noted as used.
   * @throws Problem `unauthorized`, or `keys-unavailable` when no keys have been read yet
   */
  verify(authorization: string | undefined): Grant {
    const key = this.#keyOf(authorization, Date.now());
    this.#usedMs.set(key.id, Date.now());
    return key.grant;
  }

  /** @throws Problem as `verify` */
  #keyOf(authorization: string | undefined, nowMs: number): RingedKey {
    const text = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const id = text === undefined ? undefined : apiKeyId(text);
    const key = id === undefined ? undefined : this.#keys?.get(id);
    if (this.#keys === undefined || (this.#isPartial && key === undefined && id !== undefined)) {
      throw new Problem('keys-unavailable', 'the keys have not been read since the start');
    }
    if (text === undefined) throw new Problem('unauthorized', 'a key is needed: Authorization: Bearer <key>');
    if (key === undefined || !isGood(key, hashApiKey(text), nowMs)) {
      throw new Problem('unauthorized', 'the key is unknown, has expired, or has been revoked');
    }
    return key;
  }

  /** Whether a key that was good still is, as far as is known. */
  isGood(authorization: string | undefined): boolean {
    try {
      this.#keyOf(authorization, Date.now());
      return true;
    } catch (error) {
      return !(error instanceof Problem && error.code === 'unauthorized');
    }
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
    this.#notedMs.clear();
    await this.#noteUses().catch(() => undefined);
  }

  async #read(): Promise<void> {
    const { logger } = this.#options;
    try {
      const copy = formatCopy(await this.#readInForce());
      // By the same way as a copy that Redis has, so that what is good for one is good for the other.
      this.#keys = keysById(parseCopy(copy)!.keys);
      this.#isPartial = false;
      await this.#keepCopy(copy);
      await this.#noteUses();
    } catch (err) {
      if (this.#keys === undefined || this.#isPartial) await this.#readCopy();
      logger.debug({ err }, 'the keys could not be read');
    }
  }

  async #readInForce(): Promise<ApiKey[]> {
    const { apiKeys } = this.#options.database.store;
    const keys: ApiKey[] = [];
    for (let page: ApiKey[] | undefined; page === undefined || page.length === pageSize; ) {
      page = await apiKeys.inForce({ after: keys.at(-1)?.id, limit: pageSize });
      keys.push(...page);
    }
    return keys;
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

  /** What cannot be read of it is as if it were not there: Postgres will come back. */
  async #readCopy(): Promise<void> {
    const { redis } = this.#options.redis;
    const copy = await redis.get(this.#copyKey).catch(() => null);
    if (copy === null) return;
    const parsed = parseCopy(copy);
    this.#isPartial = parsed?.unreadable !== 0;
    if (this.#isPartial && !this.#hasToldOfCopy) {
      this.#hasToldOfCopy = true;
      const unreadable = parsed?.unreadable ?? 'all';
      this.#options.logger.warn({ unreadable }, 'the copy of the keys in Redis cannot be read whole');
    }
    if (parsed !== undefined) this.#keys = keysById(parsed.keys);
  }

  async #noteUses(): Promise<void> {
    const due = [...this.#usedMs].filter(([id, ms]) => ms - (this.#notedMs.get(id) ?? 0) >= useNoteMs);
    if (due.length === 0) return;
    await this.#options.database.store.apiKeys.noteUses(new Map(due.map(([id, ms]) => [id, new Date(ms)])));
    for (const [id, ms] of due) {
      this.#notedMs.set(id, ms);
      if (this.#usedMs.get(id) === ms) this.#usedMs.delete(id);
    }
  }

  get #copyKey(): string {
    return `${this.#options.redis.prefix}:api-keys`;
  }
}

function isGood({ hash, expiresAtMs, previous }: RingedKey, given: Buffer, nowMs: number): boolean {
  if (nowMs >= expiresAtMs) return false;
  if (timingSafeEqual(hash, given)) return true;
  return previous !== undefined && nowMs < previous.untilMs && timingSafeEqual(previous.hash, given);
}

function keysById(keys: readonly RingedKey[]): ReadonlyMap<string, RingedKey> {
  return new Map(keys.map((key) => [key.id, key]));
}
