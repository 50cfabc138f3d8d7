import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { advanceIdentifier, identifierDistance, nextIdentifier } from '../src/index.ts';

const identifier = fc.oneof(
  fc.integer({ min: 1, max: 0xffff_ffff }),
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 0xffff_ffec, max: 0xffff_ffff }),
);

describe('identifiers', () => {
  test('go from 2^32 - 1 to 1: 0 means that the frame is unknown', () => {
    expect(nextIdentifier(1)).toBe(2);
    expect(nextIdentifier(0xffff_fffe)).toBe(0xffff_ffff);
    expect(nextIdentifier(0xffff_ffff)).toBe(1);
    expect(advanceIdentifier(0xffff_ffff, 0)).toBe(0xffff_ffff);
    expect(advanceIdentifier(0xffff_fffe, 3)).toBe(2);
    expect(advanceIdentifier(2, -3)).toBe(0xffff_fffe);
  });

  test('compare by the order of writing, across the wrap', () => {
    expect(identifierDistance(0xffff_ffff, 1)).toBe(1);
    expect(identifierDistance(1, 0xffff_ffff)).toBe(-1);
    expect(identifierDistance(0xffff_fff0, 5)).toBe(20);
    expect(identifierDistance(5, 5)).toBe(0);
    expect(identifierDistance(1, 0x8000_0000)).toBe(0x7fff_ffff);
    expect(identifierDistance(1, 0x8000_0001)).toBe(-0x7fff_ffff);
  });

  test('advancing by the distance arrives, and never at 0', () => {
    fc.assert(
      fc.property(identifier, identifier, (a, b) => {
        const distance = identifierDistance(a, b);
        expect(advanceIdentifier(a, distance)).toBe(b);
        expect(identifierDistance(b, a)).toBe(distance === 0 ? 0 : -distance);
      }),
    );
  });

  test('counting one by one is advancing', () => {
    fc.assert(
      fc.property(identifier, fc.nat(50), (start, steps) => {
        let at = start;
        for (let step = 0; step < steps; step++) at = nextIdentifier(at);
        expect(advanceIdentifier(start, steps)).toBe(at);
        expect(at).toBeGreaterThan(0);
      }),
    );
  });
});
