import type { X509Certificate } from 'node:crypto';
import { createCipheriv, createHash, createHmac, type KeyObject, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { derTag, encodeDer, encodeOid, encodeUnsigned } from '../der.ts';
import { derivePkcs12Key, type Pkcs12Digest } from './key-derivation.ts';

// Writes PKCS #12 (RFC 7292); the layout is drawn in read-pkcs12.ts.

export type Pkcs12Encryption =
  /** PBES2 with AES-256, integrity by SHA-256: what OpenSSL 3 and macOS since 15 read. */
  | 'aes256'
  /** 3DES, integrity by SHA-1: what older Keychains and Windows read, too. */
  | '3des';

export interface Pkcs12Options {
  readonly certificates: readonly [X509Certificate, ...X509Certificate[]];
  /** Of the first certificate. */
  readonly key: KeyObject;
  readonly passphrase: string;
  readonly encryption: Pkcs12Encryption;
  /** The name that Keychain shows. */
  readonly friendlyName: string;
}

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  tripleDes: '1.2.840.113549.1.12.1.3',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256: '2.16.840.1.101.3.4.1.42',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

/** Rounds of key derivation: OpenSSL's default where old readers must follow. */
const iterations = { aes256: 10_000, '3des': 2_048 } as const;
const saltBytes = 16;

/** What a `.p12` file holds. */
export async function writePkcs12(options: Pkcs12Options): Promise<Buffer> {
  // Readers pair certificate and key by this id.
  const localKeyId = createHash('sha1').update(options.certificates[0].raw).digest();
  const attributes = bagAttributes(options.friendlyName, localKeyId);
  const certificateBags = options.certificates.map((certificate, index) =>
    bag(
      oids.certificateBag,
      sequence(oid(oids.x509Certificate), explicit(octetString(certificate.raw))),
      index === 0 ? attributes : undefined,
    ),
  );
  const keyInfo = options.key.export({ type: 'pkcs8', format: 'der' });
  const [keyAlgorithm, encryptedKey] = await encrypt(keyInfo, options);
  const keyBag = bag(oids.shroudedKeyBag, sequence(keyAlgorithm, octetString(encryptedKey)), attributes);
  const [algorithm, encrypted] = await encrypt(sequence(...certificateBags), options);
  const safe = sequence(
    sequence(
      oid(oids.encryptedData),
      explicit(
        sequence(integer(0), sequence(oid(oids.data), algorithm, encodeDer(implicitContext0, encrypted))),
      ),
    ),
    dataContent(sequence(keyBag)),
  );
  return sequence(integer(3), dataContent(safe), await macData(safe, options));
}

/** The AlgorithmIdentifier and what was made of `plain`. */
async function encrypt(plain: Buffer, { passphrase, encryption }: Pkcs12Options): Promise<[Buffer, Buffer]> {
  const salt = randomBytes(saltBytes);
  const rounds = iterations[encryption];
  if (encryption === '3des') {
    const base = { passphrase, digest: 'sha1', salt, iterations: rounds } as const;
    const key = await derivePkcs12Key({ ...base, purpose: 'key', length: 24 });
    const iv = await derivePkcs12Key({ ...base, purpose: 'iv', length: 8 });
    const algorithm = sequence(oid(oids.tripleDes), sequence(octetString(salt), integer(rounds)));
    return [algorithm, encipher('des-ede3-cbc', key, iv, plain)];
  }
  const iv = randomBytes(16);
  const key = await promisify(pbkdf2)(passphrase, salt, rounds, 32, 'sha256');
  const derivation = sequence(
    oid(oids.pbkdf2),
    sequence(octetString(salt), integer(rounds), sequence(oid(oids.hmacSha256), nothing)),
  );
  const algorithm = sequence(
    oid(oids.pbes2),
    sequence(derivation, sequence(oid(oids.aes256), octetString(iv))),
  );
  return [algorithm, encipher('aes-256-cbc', key, iv, plain)];
}

function encipher(name: string, key: Buffer, iv: Buffer, plain: Buffer): Buffer {
  const cipher = createCipheriv(name, key, iv);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

async function macData(safe: Buffer, { passphrase, encryption }: Pkcs12Options): Promise<Buffer> {
  const digest: Pkcs12Digest & keyof typeof oids = encryption === '3des' ? 'sha1' : 'sha256';
  const salt = randomBytes(saltBytes);
  const key = await derivePkcs12Key({
    passphrase,
    purpose: 'mac',
    digest,
    salt,
    iterations: iterations[encryption],
    length: digest === 'sha1' ? 20 : 32,
  });
  const mac = createHmac(digest, key).update(safe).digest();
  return sequence(
    sequence(sequence(oid(oids[digest]), nothing), octetString(mac)),
    octetString(salt),
    integer(iterations[encryption]),
  );
}

function bagAttributes(friendlyName: string, localKeyId: Buffer): Buffer {
  const name = Buffer.from(friendlyName, 'utf16le').swap16();
  return encodeDer(
    derTag.set,
    sequence(oid(oids.friendlyName), encodeDer(derTag.set, encodeDer(derTag.bmpString, name))),
    sequence(oid(oids.localKeyId), encodeDer(derTag.set, octetString(localKeyId))),
  );
}

function bag(id: string, value: Buffer, attributes: Buffer | undefined): Buffer {
  return sequence(oid(id), explicit(value), ...(attributes === undefined ? [] : [attributes]));
}

function dataContent(content: Buffer): Buffer {
  return sequence(oid(oids.data), explicit(octetString(content)));
}

/** [0] IMPLICIT, of an octet string. */
const implicitContext0 = 0x80;
const nothing = encodeDer(derTag.null);

function sequence(...parts: readonly Buffer[]): Buffer {
  return encodeDer(derTag.sequence, ...parts);
}

function explicit(part: Buffer): Buffer {
  return encodeDer(derTag.context0, part);
}

function octetString(bytes: Buffer): Buffer {
  return encodeDer(derTag.octetString, bytes);
}

function oid(dotted: string): Buffer {
  return encodeDer(derTag.oid, encodeOid(dotted));
}

function integer(value: number): Buffer {
  return encodeDer(derTag.integer, encodeUnsigned(value));
}
