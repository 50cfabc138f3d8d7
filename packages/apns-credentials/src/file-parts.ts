import { X509Certificate } from 'node:crypto';
import { decodeText } from './decode-text.ts';
import { derTag, readDerSequence, readDerValues } from './der.ts';
import { CredentialError } from './errors.ts';

// Tells what a file holds by its content. People hand over what they happen to have, and names lie: a `.cer` may be
// PEM, a `.pem` may be DER, and a `.p12` may be the request that was sent to Apple.

/** A private key as it was found, not decrypted yet. */
export interface EncodedKey {
  /** `traditional`: PEM that says `Proc-Type: 4,ENCRYPTED` in its head, or plain PKCS #1 and SEC 1. */
  readonly form: 'pkcs8' | 'encrypted-pkcs8' | 'traditional' | 'encrypted-traditional';
  /** DER, but PEM for `encrypted-traditional`: its head is needed to decrypt it. */
  readonly bytes: Buffer;
}

export type FilePart =
  | { readonly kind: 'certificate'; readonly certificate: X509Certificate }
  | { readonly kind: 'private-key'; readonly key: EncodedKey }
  | { readonly kind: 'pkcs12'; readonly bytes: Buffer }
  | { readonly kind: 'certificate-request' }
  | { readonly kind: 'provisioning-profile' }
  | { readonly kind: 'public-key' }
  | { readonly kind: 'pkcs7' }
  | { readonly kind: 'openssh-key' };

/** Nothing, where nothing known is in it. @throws CredentialError `malformed`, where a known part is damaged */
export function readFileParts(bytes: Buffer): FilePart[] {
  if (bytes[0] === derTag.sequence) {
    const part = recognizeDer(withoutTrailingSpace(bytes));
    if (part !== undefined) return [part];
  }
  const text = decodeText(bytes, 'latin1');
  if (/<plist\b/.test(text)) return [{ kind: 'provisioning-profile' }];
  const parts = [...withLineEnds(text).matchAll(pemBlock)].map(([block, label = '', body = '']) =>
    readPemBlock(block, label, body),
  );
  if (parts.length > 0) return parts;
  if (/-----BEGIN [A-Z0-9 ]+-----/.test(text))
    throw new CredentialError('malformed', 'The file is cut off: it has a line BEGIN and no line END to it');
  return readBareBase64(text);
}

/** A line end after a DER file, which an editor or `echo` has put there. */
function withoutTrailingSpace(bytes: Buffer): Buffer {
  const content = contentStart(bytes);
  // Of indefinite length: the parser finds its end.
  if (content === 2 && bytes[1] === 0x80) return bytes;
  // A file has less than 2^32 bytes; a length in more than four of them is none.
  if (content > 6 || content > bytes.length) return bytes;
  const length = content === 2 ? (bytes[1] ?? 0) : bytes.readUIntBE(2, content - 2);
  const rest = bytes.subarray(content + length);
  return isBlank(rest) ? bytes.subarray(0, content + length) : bytes;
}

/** Old Macs end lines with CR alone, and secrets that pass through JSON or a shell hold `\\n` as two characters. */
function withLineEnds(text: string): string {
  return text.replace(/\\r\\n|\\n|\r\n?/g, '\n');
}

/** A file in base64 without the lines BEGIN and END, as secrets are often stored; PEM or DER within. */
function readBareBase64(text: string): FilePart[] {
  const digits = withLineEnds(text).replace(/\s+/g, '');
  if (digits.length < 64 || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) return [];
  const decoded = Buffer.from(digits, 'base64');
  const isKnown = decoded[0] === derTag.sequence || decoded.includes('-----BEGIN ');
  return isKnown ? readFileParts(decoded) : [];
}

const pemBlock = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;

function readPemBlock(block: string, label: string, body: string): FilePart {
  switch (label) {
    case 'CERTIFICATE':
    case 'X509 CERTIFICATE':
      return certificatePart(decodeBase64(body));
    case 'TRUSTED CERTIFICATE':
      // Has more than the certificate in it, which only OpenSSL's own reader of PEM passes over.
      return certificatePart(Buffer.from(`${block.trim()}\n`, 'latin1'));
    case 'PRIVATE KEY':
      return keyPart('pkcs8', decodeBase64(body));
    case 'ENCRYPTED PRIVATE KEY':
      return keyPart('encrypted-pkcs8', decodeBase64(body));
    case 'RSA PRIVATE KEY':
    case 'EC PRIVATE KEY':
      return /Proc-Type:.*ENCRYPTED/.test(body)
        ? keyPart('encrypted-traditional', Buffer.from(block, 'latin1'))
        : keyPart('traditional', decodeBase64(body));
    case 'CERTIFICATE REQUEST':
    case 'NEW CERTIFICATE REQUEST':
      return { kind: 'certificate-request' };
    case 'PUBLIC KEY':
    case 'RSA PUBLIC KEY':
      return { kind: 'public-key' };
    case 'PKCS7':
    case 'CMS':
      return { kind: 'pkcs7' };
    case 'OPENSSH PRIVATE KEY':
      return { kind: 'openssh-key' };
    case 'EC PARAMETERS':
      // What `openssl ecparam -genkey` writes before the key: says nothing that the key does not.
      return { kind: 'public-key' };
    default:
      throw new CredentialError('format-unknown', `A PEM block of type "${label}" means nothing here`);
  }
}

function recognizeDer(bytes: Buffer): FilePart | undefined {
  // Before anything that wants definite lengths: Keychain writes .p12 files and profiles with indefinite ones.
  const content = contentStart(bytes);
  if (bytes.subarray(content, content + 3).equals(pkcs12Version)) return { kind: 'pkcs12', bytes };
  if (bytes.subarray(content, content + signedDataOid.length).equals(signedDataOid))
    return { kind: bytes.includes('<plist') ? 'provisioning-profile' : 'pkcs7' };
  try {
    return { kind: 'certificate', certificate: new X509Certificate(bytes) };
  } catch {
    return recognizeStructure(bytes);
  }
}

/** INTEGER 3, with which every PFX begins (RFC 7292 section 4). */
const pkcs12Version = Buffer.from([derTag.integer, 1, 3]);
/** OBJECT IDENTIFIER 1.2.840.113549.1.7.2. */
const signedDataOid = Buffer.from('06092a864886f70d010702', 'hex');

/** Where the outermost SEQUENCE's content starts, also of indefinite length. */
function contentStart(bytes: Buffer): number {
  const length = bytes[1] ?? 0;
  return 2 + (length > 0x80 ? length & 0x7f : 0);
}

function recognizeStructure(bytes: Buffer): FilePart | undefined {
  let tags: number[];
  let firstTags: number[];
  try {
    const values = readDerSequence(bytes);
    tags = values.map((value) => value.tag);
    firstTags =
      tags[0] === derTag.sequence ? readDerValues(values[0]!.content).map((value) => value.tag) : [];
  } catch (error) {
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
  const { sequence, integer, bitString, octetString } = derTag;
  if (startsWith(tags, sequence, octetString)) return keyPart('encrypted-pkcs8', bytes);
  if (startsWith(tags, integer, sequence, octetString)) return keyPart('pkcs8', bytes);
  if (startsWith(tags, sequence, sequence, bitString) && startsWith(firstTags, integer, sequence, sequence))
    return { kind: 'certificate-request' };
  if (startsWith(tags, sequence, bitString)) return { kind: 'public-key' };
  if (startsWith(tags, integer, integer, integer) || startsWith(tags, integer, octetString))
    return keyPart('traditional', bytes);
  return undefined;
}

function startsWith(tags: readonly number[], ...expected: readonly number[]): boolean {
  return expected.every((tag, index) => tags[index] === tag);
}

/** @param bytes DER or PEM. */
function certificatePart(bytes: Buffer): FilePart {
  try {
    return { kind: 'certificate', certificate: new X509Certificate(bytes) };
  } catch (error) {
    throw new CredentialError('malformed', 'The certificate is damaged: it cannot be decoded', {
      cause: error,
    });
  }
}

/** Whether there is nothing but what ends lines and files. */
function isBlank(bytes: Buffer): boolean {
  return bytes.every(
    (byte) => byte === 0x0a || byte === 0x0d || byte === 0x20 || byte === 0x09 || byte === 0x1a,
  );
}

function keyPart(form: EncodedKey['form'], bytes: Buffer): FilePart {
  return { kind: 'private-key', key: { form, bytes } };
}

function decodeBase64(body: string): Buffer {
  return Buffer.from(body, 'base64');
}
