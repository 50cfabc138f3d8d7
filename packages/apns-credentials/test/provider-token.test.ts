import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { decodeJwt, jwtVerify } from 'jose';
import { afterEach, expect, test } from 'vitest';
import {
  createMemoryTokenStore,
  ProviderTokenSource,
  type ProviderTokenStore,
  signProviderToken,
  TokenCredential,
} from '../src/index.ts';

const minuteMs = 60_000;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const credential = new TokenCredential({
  key: privateKey,
  keyId: 'KEY1234567',
  teamId: 'TEAM123456',
  sha256Fingerprint: 'ab'.repeat(32),
});

const open: ProviderTokenSource[] = [];
afterEach(() => {
  for (const source of open.splice(0)) source.close();
});

/** A fleet: a clock, a store, and processes that share them; counts how often a token was signed. */
class Fleet {
  nowMs = Date.parse('2026-01-01T12:00:00Z');
  readonly signed = new Set<string>();
  readonly problems: string[] = [];
  isStoreAway = false;
  readonly store: ProviderTokenStore;

  constructor() {
    const memory = createMemoryTokenStore(() => this.nowMs);
    const whenThere = <T>(call: () => Promise<T>): Promise<T> =>
      this.isStoreAway ? Promise.reject(new Error('Redis is away')) : call();
    this.store = {
      get: (name) => whenThere(() => memory.get(name)),
      set: (name, token, expires) => {
        this.signed.add(token.jwt);
        return whenThere(() => memory.set(name, token, expires));
      },
      lock: (name, ttl) => whenThere(() => memory.lock(name, ttl)),
      hold: (name, ms) => whenThere(() => memory.hold(name, ms)),
    };
  }

  process(clockSkewMs = 0): ProviderTokenSource {
    const source = new ProviderTokenSource({
      credential: { current: () => credential, onChange: () => () => {} },
      store: this.store,
      now: () => this.nowMs + clockSkewMs,
      checkIntervalMs: 3_600_000,
      onProblem: (error) => this.problems.push(error.message),
    });
    open.push(source);
    return source;
  }

  pass(minutes: number): void {
    this.nowMs += minutes * minuteMs;
  }
}

test('a token is ES256 with kid, iss and iat, and verifies', async () => {
  const jwt = await signProviderToken({
    key: privateKey,
    keyId: 'KEY1234567',
    teamId: 'TEAM123456',
    issuedAtMs: 1_700_000_000_999,
  });
  const { payload, protectedHeader } = await jwtVerify(jwt, createPublicKey(privateKey));
  expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'KEY1234567' });
  expect(payload).toEqual({ iss: 'TEAM123456', iat: 1_700_000_000 });
});

test('a fleet of processes that start together shares one token', async () => {
  const fleet = new Fleet();
  const processes = Array.from({ length: 10 }, () => fleet.process());
  await Promise.all(processes.map((source) => source.refresh()));
  expect(new Set(processes.map((source) => source.current())).size).toBe(1);
  expect(fleet.signed.size).toBe(1);
});

test('it is left alone for 40 minutes, then renewed once for all', async () => {
  const fleet = new Fleet();
  const [a, b] = [fleet.process(), fleet.process()];
  await a.refresh();
  const first = a.current();
  fleet.pass(38);
  await Promise.all([a.refresh(), b.refresh()]);
  expect([a.current(), b.current()]).toEqual([first, first]);

  // It was a minute old when it was signed: set back for clocks that are fast.
  fleet.pass(1);
  await b.refresh();
  expect(b.current()).not.toBe(first);
  await a.refresh();
  expect(a.current()).toBe(b.current());
  expect(fleet.signed.size).toBe(2);
});

test('over a day of checks, no two renewals are less than 20 and no token is more than 50 minutes old', async () => {
  const fleet = new Fleet();
  const processes = [fleet.process(), fleet.process(5 * minuteMs), fleet.process(-5 * minuteMs)];
  const renewedAt: number[] = [];
  for (let minute = 0; minute < 24 * 60; minute++) {
    const before = fleet.signed.size;
    for (const source of processes) await source.refresh();
    if (fleet.signed.size > before) renewedAt.push(minute);
    for (const source of processes) {
      const jwt = source.current();
      const age = fleet.nowMs / 1_000 - decodeJwt(jwt!).iat!;
      // By the clock of the signer, which is up to five minutes off.
      expect(age).toBeLessThanOrEqual(56 * 60);
      expect(source.ageMs).toBeLessThan(50 * minuteMs);
    }
    fleet.pass(1);
  }
  const gaps = renewedAt.slice(1).map((minute, index) => minute - renewedAt[index]!);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(20);
  expect(gaps.length).toBeGreaterThan(24);
});

test('without the store, a process goes on with what it has, then signs its own', async () => {
  const fleet = new Fleet();
  const source = fleet.process();
  await source.refresh();
  const first = source.current();
  fleet.isStoreAway = true;
  fleet.pass(45);
  await source.refresh();
  expect(source.current()).toBe(first);
  fleet.pass(5);
  await source.refresh();
  expect(source.current()).not.toBe(first);
  expect(fleet.problems).toContain('Redis is away');
});

test('while another process signs, one without a token waits for it', async () => {
  const fleet = new Fleet();
  const lock = await fleet.store.lock(credential.fingerprint, 10_000);
  const source = fleet.process();
  const refreshed = source.refresh();
  await fleet.store.set(credential.fingerprint, { jwt: 'from-elsewhere', ageMs: 0 }, 50 * minuteMs);
  await refreshed;
  expect(source.current()).toBe('from-elsewhere');
  await lock?.release();
});

test('a token that the gateway calls expired is replaced once, and not again within 20 minutes', async () => {
  const fleet = new Fleet();
  const [a, b] = [fleet.process(), fleet.process()];
  await Promise.all([a.refresh(), b.refresh()]);
  const first = a.current()!;
  fleet.pass(1);
  expect(await a.expired(first)).toBe(true);
  const second = a.current()!;
  expect(second).not.toBe(first);
  // The other process takes over what the first one has signed.
  expect(await b.expired(first)).toBe(true);
  expect(b.current()).toBe(second);
  // An answer to a request that was sent with the old one changes nothing.
  expect(await a.expired(first)).toBe(true);
  expect(await a.expired(second)).toBe(false);
  expect(fleet.signed.size).toBe(2);
  fleet.pass(20);
  expect(await a.expired(second)).toBe(true);
});

test('after too many updates the last token comes back, and 20 minutes pass before the next', async () => {
  const fleet = new Fleet();
  const source = fleet.process();
  await source.refresh();
  const first = source.current()!;
  fleet.pass(1);
  await source.expired(first);
  const changes: (string | undefined)[] = [];
  source.onChange(() => changes.push(source.current()));
  source.tooManyUpdates(source.current()!);
  expect(changes).toEqual([first]);
  // 41 minutes old: it would be time, were it not for the refusal.
  fleet.pass(19);
  await source.refresh();
  expect(source.current()).toBe(first);
});

test('a replaced provider key is signed with at once', async () => {
  let current = credential;
  let changed = (): void => {};
  const source = new ProviderTokenSource({
    credential: {
      current: () => current,
      onChange: (listener) => {
        changed = listener;
        return () => {};
      },
    },
    store: createMemoryTokenStore(),
  });
  open.push(source);
  await source.refresh();
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  current = new TokenCredential({
    key,
    keyId: 'KEY7654321',
    teamId: 'TEAM123456',
    sha256Fingerprint: 'cd'.repeat(32),
  });
  changed();
  await source.refresh();
  const { protectedHeader } = await jwtVerify(source.current()!, createPublicKey(key));
  expect(protectedHeader.kid).toBe('KEY7654321');
});

test('a certificate cannot sign', async () => {
  const source = new ProviderTokenSource({
    credential: { current: () => ({ kind: 'certificate' }) as never, onChange: () => () => {} },
    store: createMemoryTokenStore(),
  });
  open.push(source);
  await expect(source.refresh()).rejects.toThrow(/needs a provider key \(\.p8\)/);
  expect(source.current()).toBeUndefined();
});

/** Has the store hold a token that was issued at that time. */
async function share(fleet: Fleet, issuedAtMs: number): Promise<string> {
  const jwt = await signProviderToken({
    key: privateKey,
    keyId: credential.keyId,
    teamId: credential.teamId,
    issuedAtMs,
  });
  await fleet.store.set(credential.fingerprint, { jwt, ageMs: minuteMs }, 50 * minuteMs);
  return jwt;
}

test('a clock that is fast issues nothing from the future', async () => {
  const fleet = new Fleet();
  const fast = fleet.process(10 * minuteMs);
  await fast.refresh();
  expect(decodeJwt(fast.current()!).iat! * 1_000).toBeLessThanOrEqual(fleet.nowMs);
});

test.each([
  ['the clock of the store', 2, 0],
  ['the own clock, where that of the store is fast too', 0, -10],
])(
  'a shared token that was issued in the future by %s is not adopted',
  async (_, aheadMinutes, skewMinutes) => {
    const fleet = new Fleet();
    const shared = await share(fleet, fleet.nowMs + aheadMinutes * minuteMs);
    const source = fleet.process(skewMinutes * minuteMs);
    await source.refresh();
    expect(source.current()).toBeDefined();
    expect(source.current()).not.toBe(shared);
    // The others have a good one then.
    const other = fleet.process(skewMinutes * minuteMs);
    await other.refresh();
    expect(other.current()).toBe(source.current());
  },
);

test('a refused token that another process signed is replaced once by one signed here', async () => {
  const fleet = new Fleet();
  const [a, b, c] = [fleet.process(), fleet.process(), fleet.process()];
  for (const source of [a, b, c]) await source.refresh();
  const first = a.current()!;
  expect(await b.refused(first)).toBe(true);
  const second = b.current()!;
  expect(second).not.toBe(first);
  // Others take over what has been replaced already.
  expect(await c.refused(first)).toBe(true);
  expect(c.current()).toBe(second);
  expect(await a.refused(first)).toBe(true);
  expect(a.current()).toBe(second);
  // Who has signed it has nothing better.
  expect(await b.refused(second)).toBe(false);
  expect(fleet.signed.size).toBe(2);
});

test('a hold has one end for all, which a restart does not put off', async () => {
  const fleet = new Fleet();
  const [a, b] = [fleet.process(), fleet.process()];
  expect(await a.hold(20 * minuteMs)).toBe(20 * minuteMs);
  fleet.pass(5);
  expect(await b.hold(20 * minuteMs)).toBe(15 * minuteMs);
  fleet.pass(5);
  expect(await fleet.process().hold(20 * minuteMs)).toBe(10 * minuteMs);
  fleet.pass(10);
  expect(await a.hold(20 * minuteMs)).toBe(20 * minuteMs);
  fleet.isStoreAway = true;
  expect(await b.hold(20 * minuteMs)).toBe(20 * minuteMs);
});
