import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ProviderTokenStore } from './provider-token-store.ts';

/** As much of a Redis client as the store needs. */
export interface ScriptRunner {
  eval(script: string, keyCount: number, ...keysAndArguments: (string | number)[]): Promise<unknown>;
}

/** Each file says at its head what it does, and with which keys and arguments. */
const readScript = (name: string): string =>
  readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');

/**
 * Where the fleet keeps its provider tokens: one per provider key, under `<prefix>:{token.<name>}`. Whoever can read
 * them can send, for an hour.
 */
export function createRedisTokenStore(redis: ScriptRunner, prefix: string): ProviderTokenStore {
  const tokenKey = (name: string): string => `${prefix}:{token.${name}}`;
  const holdKey = (name: string): string => `${tokenKey(name)}:hold`;
  const lockKey = (name: string): string => `${tokenKey(name)}:lock`;
  const scripts = {
    get: readScript('get'),
    set: readScript('set'),
    lock: readScript('lock'),
    release: readScript('release'),
    hold: readScript('hold'),
  };
  return {
    async get(name) {
      const stored = await redis.eval(scripts.get, 1, tokenKey(name));
      if (!Array.isArray(stored)) return undefined;
      const [jwt, ageMs, storeNowMs] = stored as [string, number, number];
      return { jwt, ageMs, storeNowMs };
    },
    async set(name, { jwt, ageMs }, expiresAtAgeMs) {
      const livesMs = Math.round(expiresAtAgeMs - ageMs);
      if (livesMs > 0) await redis.eval(scripts.set, 1, tokenKey(name), jwt, Math.round(ageMs), livesMs);
    },
    async lock(name, ttlMs) {
      const mine = randomUUID();
      const storeNowMs = await redis.eval(scripts.lock, 1, lockKey(name), mine, Math.round(ttlMs));
      if (typeof storeNowMs !== 'number') return undefined;
      return {
        storeNowMs,
        async release() {
          await redis.eval(scripts.release, 1, lockKey(name), mine);
        },
      };
    },
    async hold(name, ms) {
      return (await redis.eval(scripts.hold, 1, holdKey(name), Math.round(ms))) as number;
    },
  };
}
