import { expect, test } from 'vitest';

/** Bytes typed by hand: hex, spaces and line breaks free, `#` starts a comment that ends with the line. */
export function hex(text: string): Buffer {
  const digits = text.replace(/#.*$/gm, '').replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${digits}`);
  return Buffer.from(digits, 'hex');
}

/** How a format is turned around. `decode` gets the stream in chunks and gives every value in it. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(chunks: readonly Uint8Array[]): T[];
}

/** Turns a value and its golden bytes into tests: encode, decode, round trip, byte by byte, every split, repeated. */
export function testWireCase<T>(name: string, codec: Codec<T>, value: T, bytes: Buffer): void {
  test(`${name}: the value encodes to the golden bytes`, () => {
    expect(Buffer.from(codec.encode(value)).toString('hex')).toBe(bytes.toString('hex'));
  });
  testDecodeCase(name, codec, value, bytes);
}

/** As `testWireCase`, for bytes that our encoder would write otherwise. */
export function testDecodeCase<T>(name: string, codec: Codec<T>, value: T, bytes: Buffer): void {
  test(`${name}: the golden bytes decode to the value, whole, byte by byte, and split in two anywhere`, () => {
    expect(codec.decode([bytes])).toEqual([value]);
    expect(codec.decode(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual([value]);
    for (let at = 0; at <= bytes.length; at++) {
      expect(codec.decode([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toEqual([value]);
    }
  });
  test(`${name}: what the value encodes to decodes to the value`, () => {
    expect(codec.decode([codec.encode(value)])).toEqual([value]);
  });
}

/** Cuts bytes at the given places, taken modulo the length. */
export function splitAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}
