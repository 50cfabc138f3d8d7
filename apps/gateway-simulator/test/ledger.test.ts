import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ContentKey } from '../src/ledger/content-key.ts';
import { KeySet } from '../src/ledger/key-set.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { NotificationLog } from '../src/ledger/notification-log.ts';

const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe('a set of keys', () => {
  test('holds what a set of the same keys holds, also where they crowd together', () => {
    // Few different low halves: long runs of taken slots, at the end of the table too.
    const crowded = fc.tuple(fc.constantFrom(0, 1, -1, 1_023, 2_047, 0x7fff_ffff), int32);
    const keys = fc.array(fc.oneof(fc.tuple(int32, int32), crowded), { maxLength: 3_000 });
    fc.assert(
      fc.property(keys, (all) => {
        const set = new KeySet();
        const model = new Set<string>();
        for (const [low, high] of all) {
          // (0, 0) and (0, 1) are the same key: the first marks an empty slot.
          const name = `${low},${low === 0 && high === 0 ? 1 : high}`;
          expect(set.has(low, high)).toBe(model.has(name));
          expect(set.add(low, high)).toBe(model.has(name) ? 'present' : 'added');
          model.add(name);
        }
        expect(set.size).toBe(model.size);
      }),
      { numRuns: 30 },
    );
  });

  test('is empty after clear', () => {
    const set = new KeySet();
    for (let key = 0; key < 10_000; key += 1) set.add(key, key);
    set.clear();
    expect(set.size).toBe(0);
    expect(set.has(5, 5)).toBe(false);
  });
});

describe('the key of a notification', () => {
  /** Reads notifications one after another, as a connection does: each at some place in its own bytes. */
  function keysOf(notifications: readonly (readonly [token: Uint8Array, payload: Uint8Array])[]): string[] {
    const content = new ContentKey();
    return notifications.map(([token, payload]) => {
      const bytes = Buffer.concat([Buffer.from([1, 2, 3]), token, payload, Buffer.from([4])]);
      content.read(bytes, 3, token.length, 3 + token.length, payload.length);
      return `${content.low},${content.high}`;
    });
  }

  test('is the same for the same token and payload, whatever came before, and no other', () => {
    const part = (maxLength: number) => fc.uint8Array({ maxLength });
    const notification = fc.tuple(
      fc.oneof(part(3), part(40)),
      fc.oneof(part(3), part(40), fc.uint8Array({ minLength: 600, maxLength: 700 })),
    );
    fc.assert(
      fc.property(fc.array(notification, { maxLength: 30 }), (drawn) => {
        // Each twice in a row, and all once more: repeated payloads are compared, others hashed.
        const all = [...drawn.flatMap((each) => [each, each]), ...drawn];
        const keys = keysOf(all);
        const names = all.map(([token, payload]) =>
          [token, payload].map((bytes) => Buffer.from(bytes).toString('hex')).join('/'),
        );
        const keyOfName = new Map(names.map((name, at) => [name, keys[at]]));
        expect(keys).toEqual(names.map((name) => keyOfName.get(name)));
        expect(new Set(keys).size).toBe(keyOfName.size);
      }),
    );
  });

  test('differs for a million tokens that differ in a few bits', () => {
    const content = new ContentKey();
    const set = new KeySet();
    const bytes = Buffer.alloc(64);
    for (let number = 0; number < 1_000_000; number += 1) {
      // The number stands in the top bits of a word, which a weak hash loses.
      bytes.writeUInt32LE((number << 12) >>> 0, 8);
      bytes.writeUInt32LE(((number >>> 10) << 22) >>> 0, 20);
      content.read(bytes, 0, 32, 32, 32);
      set.add(content.low, content.high);
    }
    expect(set.size).toBe(1_000_000);
  });

  test('is not that of the payload before when only its last byte differs', () => {
    for (const length of [1, 2, 3, 4, 5, 512, 513, 1_000]) {
      const token = Buffer.alloc(32, 1);
      const one = Buffer.alloc(length, 0x20);
      const other = Buffer.from(one);
      other[length - 1] = 0x21;
      const [first, second, third] = keysOf([
        [token, one],
        [token, other],
        [token, one],
      ]);
      expect(second, `length ${length}`).not.toBe(first);
      expect(third).toBe(first);
    }
  });
});

describe('the ledger', () => {
  test('counts each app for itself, and sums', () => {
    const ledger = new Ledger(1_000);
    ledger.app('a').take(1, 1);
    ledger.app('a').take(1, 1);
    ledger.app('b').take(1, 1);
    ledger.app('b').counts.rejected += 1;
    ledger.app('idle');
    expect(ledger.apps()).toEqual({
      a: { received: 2, unique: 1, duplicates: 1, untracked: 0, rejected: 0, discarded: 0 },
      b: { received: 1, unique: 1, duplicates: 0, untracked: 0, rejected: 1, discarded: 0 },
    });
    expect(ledger.totals()).toMatchObject({ received: 3, unique: 2, duplicates: 1, rejected: 1 });
  });

  test('says what it could not tell apart any more, over all apps, and has room again after a reset', () => {
    const ledger = new Ledger(3);
    for (let key = 1; key <= 5; key += 1) ledger.app(key % 2 === 0 ? 'a' : 'b').take(key, key);
    ledger.app('b').take(1, 1);
    expect(ledger.totals()).toMatchObject({ received: 6, unique: 3, duplicates: 1, untracked: 2 });
    ledger.reset();
    for (let key = 1; key <= 3; key += 1) ledger.app('a').take(key, key);
    expect(ledger.totals()).toMatchObject({ received: 3, unique: 3, untracked: 0 });
  });
});

describe('the log of notifications', () => {
  const entry = (payload: string) =>
    ({
      ...({ at: 1, app: 'a', transport: 'binary', connection: 1, token: 'aa', payload } as const),
      ...({ expiration: 0, priority: 10, outcome: 'received' } as const),
    }) as const;

  test('keeps as many as its limit says, and more when the limit rises', () => {
    const log = new NotificationLog(1);
    expect(log.isOpen).toBe(true);
    log.append(entry('{}'));
    expect(log.isOpen).toBe(false);
    log.limit = 2;
    expect(log.isOpen).toBe(true);
  });

  test('keeps no more than 64 Mi characters, however few notifications these are', () => {
    const log = new NotificationLog(1_000);
    for (let count = 0; count < 100 && log.isOpen; count += 1) log.append(entry(' '.repeat(1_048_576)));
    expect(log.entries.length).toBe(64);
  });

  test('keeps none with a limit of 0', () => {
    expect(new NotificationLog(0).isOpen).toBe(false);
  });
});
