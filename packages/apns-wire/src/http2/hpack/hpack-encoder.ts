import { ApnsWireError } from '../../errors.ts';

// Writes header fields without a dynamic table and without Huffman coding: every block stands for itself, so one can
// be prepared and used for many requests, on whichever connection.

/** Whether whoever passes a literal on may put it in a table (RFC 7541 sections 6.2.2 and 6.2.3). */
export type LiteralIndexing = 'without' | 'never';

const patterns = { without: 0x00, never: 0x10 } as const satisfies Record<LiteralIndexing, number>;

export interface LiteralField {
  /** A lower-case name, or an entry of the static table that has it. */
  readonly name: string | number;
  readonly value: string;
  readonly indexing: LiteralIndexing;
}

/** A field of the static table, name and value (section 6.1). Returns the offset after it. */
export function writeIndexedField(target: Uint8Array, at: number, index: number): number {
  return writeInteger(target, at, 0x80, 7, index);
}

/** Everything of a literal but its value, which is to have `valueLength` bytes. Returns the offset after it. */
export function writeLiteralHead(
  target: Buffer,
  at: number,
  name: string | number,
  indexing: LiteralIndexing,
  valueLength: number,
): number {
  if (typeof name === 'number') at = writeInteger(target, at, patterns[indexing], 4, name);
  else at = writeText(target, writeInteger(target, at, patterns[indexing], 4, 0), name);
  return writeInteger(target, at, 0x00, 7, valueLength);
}

/** A literal. Returns the offset after it; `target` must have room for `literalLength`. */
export function writeLiteralField(target: Buffer, at: number, field: LiteralField): number {
  const { name, value, indexing } = field;
  refuseUnprintable(name, value);
  at = writeLiteralHead(target, at, name, indexing, value.length);
  return at + target.write(value, at, 'latin1');
}

/** Bytes that a literal takes. */
export function literalLength({ name, value }: Pick<LiteralField, 'name' | 'value'>): number {
  const nameLength =
    typeof name === 'number' ? integerLength(4, name) : 1 + integerLength(7, name.length) + name.length;
  return nameLength + integerLength(7, value.length) + value.length;
}

function writeText(target: Buffer, at: number, text: string): number {
  at = writeInteger(target, at, 0x00, 7, text.length);
  return at + target.write(text, at, 'latin1');
}

/** What would be another request, or none, in the eyes of the far end. */
function refuseUnprintable(name: string | number, value: string): void {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) || value === '') return;
  throw new ApnsWireError(
    'field-out-of-range',
    `header ${name}: the value has a character that is not printable ASCII, or a space at an end`,
  );
}

// RFC 7541 section 5.1: what fits in a prefix of N bits stands there; otherwise the prefix is all ones and the rest
// follows in groups of 7 bits, least significant first.

/** Writes `value` behind the bits of `pattern`, which stand above the prefix. Returns the offset after it. */
function writeInteger(
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
function integerLength(prefixBits: number, value: number): number {
  const limit = (1 << prefixBits) - 1;
  if (value < limit) return 1;
  let length = 2;
  for (let rest = value - limit; rest >= 0x80; rest >>>= 7) length++;
  return length;
}
