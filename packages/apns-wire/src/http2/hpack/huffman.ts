import { Http2WireError } from '../http2-error.ts';

// RFC 7541 appendix B. Its code is canonical: codes of one length are consecutive, in the order of their symbols, and
// go on from the shorter ones. So the lengths say everything.

/** Code length in bits of every octet, and of EOS (256). */
const codeLengths: readonly number[] = [
  // 0x00
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  // 0x10
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  // 0x20: space ! " # …
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  // 0x30: 0 1 2 …
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  // 0x40: @ A B …
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  // 0x50: P Q R …
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  // 0x60: ` a b …
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  // 0x70: p q r …
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  // 0x80
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  // 0x90
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  // 0xa0
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  // 0xb0
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  // 0xc0
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  // 0xd0
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  // 0xe0
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  // 0xf0
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  // EOS
  30,
];

const endOfString = 256;
const longestCode = 30;

// The decoder walks a tree of tables, 8 bits at a step. An entry is, for the bits that lead to it:
//   a symbol: (length of what is left of its code) << 16 | symbol
//   a table:  -(number of the table), which has the next 8 bits

const tables: Int32Array[] = [new Int32Array(256)];

function enter(symbol: number, code: number, length: number): void {
  let table = tables[0]!;
  let left = length;
  while (left > 8) {
    const at = (code >>> (left - 8)) & 0xff;
    if (table[at] === 0) {
      table[at] = -tables.length;
      tables.push(new Int32Array(256));
    }
    table = tables[-table[at]!]!;
    left -= 8;
  }
  const first = (code << (8 - left)) & 0xff;
  table.fill((left << 16) | symbol, first, first + (1 << (8 - left)));
}

for (let length = 1, code = 0; length <= longestCode; length++, code <<= 1) {
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    if (codeLengths[symbol] === length) enter(symbol, code++, length);
  }
}

/**
 * Decodes `bytes` from `start` to `end` into `target`, and gives how many octets that were. `target` must have room
 * for `huffmanDecodedLimit(end - start)`.
 *
 * Throws `http2-compression-error` where the string contains EOS, or ends in anything but the first bits of EOS, fewer
 * than 8 of them (RFC 7541 section 5.2).
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let written = 0;
  let table = tables[0]!;
  let bits = 0;
  /** How many low bits of `bits` have not been used. */
  let held = 0;
  /** Bits of the symbol under way that have been used up by tables above this one. */
  let taken = 0;
  for (let at = start; at < end; at++) {
    bits = ((bits << 8) | bytes[at]!) & 0xffff;
    held += 8;
    while (held >= 8) {
      const entry = table[(bits >>> (held - 8)) & 0xff]!;
      if (entry < 0) {
        table = tables[-entry]!;
        held -= 8;
        taken += 8;
        continue;
      }
      const symbol = entry & 0xffff;
      if (symbol === endOfString) throw malformed('contains the end-of-string symbol');
      target[written++] = symbol;
      held -= entry >>> 16;
      table = tables[0]!;
      taken = 0;
    }
  }
  // What is left may hold short symbols yet; after these it is padding.
  while (held > 0) {
    const entry = table[(bits << (8 - held)) & 0xff]!;
    const length = entry >>> 16;
    if (entry < 0 || length > held) break;
    const symbol = entry & 0xffff;
    if (symbol === endOfString) throw malformed('contains the end-of-string symbol');
    target[written++] = symbol;
    held -= length;
    table = tables[0]!;
    taken = 0;
  }
  if (taken + held > 7) throw malformed('ends in the middle of a symbol');
  const padding = (1 << held) - 1;
  if ((bits & padding) !== padding) throw malformed('is padded with something else than ones');
  return written;
}

/** The most octets that so many bytes can stand for: the shortest code has 5 bits. */
export function huffmanDecodedLimit(encodedLength: number): number {
  return Math.floor((encodedLength * 8) / 5);
}

function malformed(what: string): Http2WireError {
  return new Http2WireError('http2-compression-error', `A Huffman-coded string ${what}`);
}
