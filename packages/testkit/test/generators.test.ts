import { expect, test } from 'vitest';
import { createRandom, generatePayload, generateTokens } from '../src/index.ts';

test('the same seed gives the same numbers, another seed others', () => {
  const take = (seed: number): number[] => Array.from({ length: 5 }, createRandom(seed));
  expect(take(7)).toEqual(take(7));
  expect(take(7)).not.toEqual(take(8));
  expect(take(7).every((value) => value >= 0 && value < 1)).toBe(true);
});

test('tokens are distinct, hexadecimal, and of the length asked for', () => {
  const tokens = generateTokens({ count: 10_000, seed: 3 });
  expect(new Set(tokens).size).toBe(10_000);
  expect(tokens.every((token) => /^[0-9a-f]{64}$/.test(token))).toBe(true);
  expect(generateTokens({ count: 2, bytes: 100 }).map((token) => token.length)).toEqual([200, 200]);
});

test('payloads have exactly the length asked for, in UTF-8 bytes, and are JSON with an alert', () => {
  for (const bytes of [40, 41, 100, 255, 256, 2_048, 4_096]) {
    const payload = generatePayload({ seed: bytes, bytes });
    expect(Buffer.byteLength(payload)).toBe(bytes);
    expect(JSON.parse(payload)).toMatchObject({ aps: { alert: { body: expect.any(String) as string } } });
  }
  expect(() => generatePayload({ bytes: 10 })).toThrow(/at least 39 bytes, not 10/);
});
