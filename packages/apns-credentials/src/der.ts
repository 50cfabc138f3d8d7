import { CredentialError } from './errors.ts';

// DER (X.690), as far as certificates need it: one-byte tags, definite lengths. PKCS #12 files may be BER, and are
// read elsewhere.

export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
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
