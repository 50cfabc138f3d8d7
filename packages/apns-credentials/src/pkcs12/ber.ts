import forge from 'node-forge';
import { CredentialError } from '../errors.ts';

// BER, by node-forge's parser: .p12 files come with indefinite lengths and octet strings in pieces.

const { asn1 } = forge;

/** @throws CredentialError `malformed` */
export function readBer(bytes: Buffer): forge.asn1.Asn1 {
  try {
    const buffer = forge.util.createBuffer(bytes.toString('latin1'));
    const options = { strict: true, parseAllBytes: false, decodeBitStrings: false };
    const node = asn1.fromDer(buffer, options as never);
    // A line end behind it is none of its bytes, and harms nobody.
    if (buffer.bytes().trim() !== '') throw new Error('something else follows it');
    return node;
  } catch (error) {
    throw malformed('it is cut off, not BER, or something else follows it', error);
  }
}

export function writeDer(node: forge.asn1.Asn1 | undefined): Buffer {
  if (node === undefined) throw malformed('a value is missing');
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

/** @throws CredentialError `malformed`, also where there is no value */
export function childrenOf(node: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] {
  if (!Array.isArray(node?.value)) throw malformed('a part that should be made of parts is not');
  return node.value;
}

/** The content of an octet string, in one piece or several. @throws CredentialError `malformed` */
export function bytesOf(node: forge.asn1.Asn1 | undefined): Buffer {
  if (node === undefined) throw malformed('an octet string is missing');
  if (Array.isArray(node.value)) return Buffer.concat(node.value.map(bytesOf));
  return Buffer.from(node.value, 'latin1');
}

/** @throws CredentialError `malformed` */
export function oidOf(node: forge.asn1.Asn1 | undefined): string {
  if (node?.type !== asn1.Type.OID || typeof node.value !== 'string')
    throw malformed('an object identifier is missing');
  return asn1.derToOid(node.value);
}

/** More rounds of key derivation than anybody writes, and few enough to be done in seconds. */
const mostIterations = 2_000_000;

/** A count, such as that of rounds. @throws CredentialError `malformed` */
export function integerOf(node: forge.asn1.Asn1 | undefined): number {
  const bytes = bytesOf(node);
  const value = bytes.length > 0 && bytes.length <= 4 ? bytes.readUIntBE(0, bytes.length) : 0;
  if (value < 1 || value > mostIterations) throw malformed('a count is out of range');
  return value;
}

export function malformed(reason: string, cause?: unknown): CredentialError {
  return new CredentialError('malformed', `The PKCS #12 or PKCS #8 data is damaged: ${reason}`, { cause });
}
