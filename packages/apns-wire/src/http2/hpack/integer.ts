// RFC 7541 section 5.1: what fits in a prefix of N bits stands there; otherwise the prefix is all ones and the rest
// follows in groups of 7 bits, least significant first.

/** Writes `value` behind the bits of `pattern`, which stand above the prefix. Returns the offset after it. */
export function writeInteger(
  target: Uint8Array,
  at: number,
  pattern: number,
  prefixBits: number,
  value: number,
): number {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) {
    target[at++] = pattern | value;
    return at;
  }
  target[at++] = pattern | limit;
  let rest = value - limit;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}

/** How many bytes `value` takes behind a prefix of so many bits. */
export function integerLength(prefixBits: number, value: number): number {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) return 1;
  let length = 2;
  for (let rest = value - limit; rest >= 0x80; rest >>>= 7) length++;
  return length;
}
