/**
 * Where a fleet keeps its one provider token. Many processes each signing their own is the field's top cause of 429
 * (`docs/protocol/http2.md#provider-token`).
 *
 * Names are made of characters a to z, A to Z, 0 to 9 and the full stop. A stored token opens the gateway for an hour:
 * whoever can read the store can send.
 */
export interface ProviderTokenStore {
  /** The token of that name and how old it is, by the clock of the store alone, so that no two clocks need agree. */
  get(name: string): Promise<StoredProviderToken | undefined>;
  /** Keeps a token that is `ageMs` old now, until it is `expiresAtAgeMs` old. */
  set(name: string, token: StoredProviderToken, expiresAtAgeMs: number): Promise<void>;
  /** The right to sign, for `ttlMs` at most; nothing, where another process has it. */
  lock(name: string, ttlMs: number): Promise<ProviderTokenLock | undefined>;
  /**
   * Has the fleet leave the gateway alone for `ms`, unless it does so already. Returns how much is left: whoever asks
   * later, or again, is told the same end.
   */
  hold(name: string, ms: number): Promise<number>;
}

export interface StoredProviderToken {
  readonly jwt: string;
  readonly ageMs: number;
  /** By the clock of the store, epoch milliseconds: a token must not have been issued after it. */
  readonly storeNowMs?: number;
}

export interface ProviderTokenLock {
  /** By the clock of the store, epoch milliseconds. */
  readonly storeNowMs?: number;
  release(): Promise<void>;
}

/** For one process by itself, such as a test. */
export function createMemoryTokenStore(now: () => number = Date.now): ProviderTokenStore {
  const tokens = new Map<string, { jwt: string; bornMs: number; untilMs: number }>();
  const locks = new Map<string, { untilMs: number }>();
  const holds = new Map<string, number>();
  return {
    get: (name) => {
      const token = tokens.get(name);
      const isThere = token !== undefined && now() < token.untilMs;
      if (!isThere) return Promise.resolve(undefined);
      return Promise.resolve({ jwt: token.jwt, ageMs: now() - token.bornMs, storeNowMs: now() });
    },
    set: (name, { jwt, ageMs }, expiresAtAgeMs) => {
      const bornMs = now() - ageMs;
      tokens.set(name, { jwt, bornMs, untilMs: bornMs + expiresAtAgeMs });
      return Promise.resolve();
    },
    lock: (name, ttlMs) => {
      const held = locks.get(name);
      if (held !== undefined && now() < held.untilMs) return Promise.resolve(undefined);
      const lock = { untilMs: now() + ttlMs };
      locks.set(name, lock);
      const release = (): Promise<void> => {
        if (locks.get(name) === lock) locks.delete(name);
        return Promise.resolve();
      };
      return Promise.resolve({ storeNowMs: now(), release });
    },
    hold: (name, ms) => {
      const heldUntilMs = holds.get(name) ?? 0;
      if (heldUntilMs <= now()) holds.set(name, now() + ms);
      return Promise.resolve(holds.get(name)! - now());
    },
  };
}
