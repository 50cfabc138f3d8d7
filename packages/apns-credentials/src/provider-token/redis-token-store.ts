import { randomUUID } from 'node:crypto';
import type { ProviderTokenStore } from './provider-token-store.ts';

/** As much of a Redis client as the store needs. */
export interface ScriptRunner {
  eval(script: string, keyCount: number, ...keysAndArguments: (string | number)[]): Promise<unknown>;
}

// Redis' own clock tells how old a token is: the clocks of the fleet need not agree.

/** Without a token nothing is sent, which is what makes room in a Redis that is full. */
const wayOut = '#!lua flags=allow-oom';

/** `born` is when the token was issued, milliseconds by the clock of Redis. */
const setScript = `${wayOut}
local now = redis.call('TIME')
local born = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[2])
redis.call('SET', KEYS[1], born .. ' ' .. ARGV[1], 'PX', ARGV[3])
return 1`;

const getScript = `
local stored = redis.call('GET', KEYS[1])
if not stored then return false end
local now = redis.call('TIME')
local born, jwt = string.match(stored, '^(%-?%d+) (.*)$')
if not born then return false end
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
return { jwt, nowMs - tonumber(born), nowMs }`;

/** Returns the time by the clock of Redis where the lock was free. */
const lockScript = `${wayOut}
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local now = redis.call('TIME')
return now[1] * 1000 + math.floor(now[2] / 1000)`;

const holdScript = `${wayOut}
redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1])
return redis.call('PTTL', KEYS[1])`;

const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * Where the fleet keeps its provider tokens: one per provider key, under `<prefix>:{token.<name>}`. Whoever can read
 * them can send, for an hour.
 */
export function createRedisTokenStore(redis: ScriptRunner, prefix: string): ProviderTokenStore {
  const tokenKey = (name: string): string => `${prefix}:{token.${name}}`;
  const holdKey = (name: string): string => `${tokenKey(name)}:hold`;
  const lockKey = (name: string): string => `${tokenKey(name)}:lock`;
  return {
    async get(name) {
      const stored = await redis.eval(getScript, 1, tokenKey(name));
      if (!Array.isArray(stored)) return undefined;
      const [jwt, ageMs, storeNowMs] = stored as [string, number, number];
      return { jwt, ageMs, storeNowMs };
    },
    async set(name, { jwt, ageMs }, expiresAtAgeMs) {
      const livesMs = Math.round(expiresAtAgeMs - ageMs);
      if (livesMs > 0) await redis.eval(setScript, 1, tokenKey(name), jwt, Math.round(ageMs), livesMs);
    },
    async lock(name, ttlMs) {
      const mine = randomUUID();
      const storeNowMs = await redis.eval(lockScript, 1, lockKey(name), mine, Math.round(ttlMs));
      if (typeof storeNowMs !== 'number') return undefined;
      return {
        storeNowMs,
        async release() {
          await redis.eval(releaseScript, 1, lockKey(name), mine);
        },
      };
    },
    async hold(name, ms) {
      return (await redis.eval(holdScript, 1, holdKey(name), Math.round(ms))) as number;
    },
  };
}
