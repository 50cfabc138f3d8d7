import { CredentialError } from './errors.ts';

// DER (X.690), as far as certificates need it: one-byte tags, definite lengths. PKCS #12 files may be BER, and are
// read elsewhere.

export const derTag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  /** [0] and [3], constructed. */
  context0: 0xa0,
  context3: 0xa3,
} as const;

/** One value: its tag, and its contents as a view of the bytes it was read from. */
export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
}

/** Reads the values that stand one after the other in `bytes`. @throws CredentialError `malformed` */
export function readDerValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    const { tag, start, end } = readHeader(bytes, at);
    values.push({ tag, content: bytes.subarray(start, end) });
    at = end;
  }
  return values;
}

/** Reads a value that is made of values. @throws CredentialError `malformed` */
export function readDerSequence(bytes: Buffer): DerValue[] {
  const [value] = readDerValues(bytes);
  if (value?.tag !== derTag.sequence) throw malformed('a SEQUENCE is missing');
  return readDerValues(value.content);
}

/** The dotted form of an object identifier's content. */
export function oidText(content: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    // Multiplied rather than shifted: an arc may need more than 32 bits.
    arc = arc * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (arcs.length === 0) {
      const first = Math.min(Math.floor(arc / 40), 2);
      arcs.push(first, arc - first * 40);
    } else {
      arcs.push(arc);
    }
    arc = 0;
  }
  return arcs.join('.');
}

/** One value whose content is `parts`, one after the other. */
export function encodeDer(tag: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag]), encodeLength(length), ...parts]);
}

/** The content of an object identifier given as dotted text. */
export function encodeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return Buffer.concat([first * 40 + second, ...rest].map(encodeArc));
}

/** The content of an INTEGER, 0 to 2^31 - 1. */
export function encodeUnsigned(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  // The shortest form whose first bit is 0: it is the sign.
  let start = 0;
  while (start < 3 && bytes[start] === 0 && bytes[start + 1]! < 0x80) start++;
  return bytes.subarray(start);
}

function encodeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  const start = bytes.findIndex((byte) => byte !== 0);
  return Buffer.concat([Buffer.from([0x80 | (4 - start)]), bytes.subarray(start)]);
}

/** Seven bits a byte, the most significant first, all but the last marked. */
function encodeArc(arc: number): Buffer {
  const bytes = [arc & 0x7f];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    bytes.unshift(0x80 | (rest & 0x7f));
  return Buffer.from(bytes);
}

function readHeader(bytes: Buffer, at: number): { tag: number; start: number; end: number } {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw malformed('it ends in the middle of a value');
  let length = first;
  let start = at + 2;
  if (first >= 0x80) {
    const lengthBytes = first & 0x7f;
    if (lengthBytes === 0 || lengthBytes > 4) throw malformed('a length is not DER');
    if (start + lengthBytes > bytes.length) throw malformed('it ends in the middle of a length');
    length = bytes.readUIntBE(start, lengthBytes);
    start += lengthBytes;
  }
  if (start + length > bytes.length) throw malformed('it ends in the middle of a value');
  return { tag, start, end: start + length };
}

function malformed(reason: string): CredentialError {
  return new CredentialError('malformed', `The DER data is damaged: ${reason}`);
}
