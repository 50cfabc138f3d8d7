import { createHmac, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto';
import type forge from 'node-forge';
import { CredentialError, passphraseMissing, passphraseWrong } from '../errors.ts';
import { parsePkcs8 } from '../private-key.ts';
import { bytesOf, childrenOf, integerOf, malformed, oidOf, readBer, writeDer } from './ber.ts';
import { decryptContent, decryptPrivateKeyInfo } from './encrypted-content.ts';
import { derivePkcs12Key, type Pkcs12Digest } from './key-derivation.ts';

// PKCS #12 (RFC 7292):
//
//   PFX = version 3 · ContentInfo (the safe) · MacData over the safe's bytes
//   safe = SEQUENCE OF ContentInfo, each data (in the clear) or encryptedData, of
//   bags = SEQUENCE OF SafeBag, each a certificate, a key, an encrypted key, …

const contentOids = { data: '1.2.840.113549.1.7.1', encryptedData: '1.2.840.113549.1.7.6' } as const;
const bagOids = {
  key: '1.2.840.113549.1.12.10.1.1',
  shroudedKey: '1.2.840.113549.1.12.10.1.2',
  certificate: '1.2.840.113549.1.12.10.1.3',
} as const;

const macDigests: Readonly<Record<string, Pkcs12Digest>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

export interface Pkcs12Content {
  readonly certificates: readonly X509Certificate[];
  readonly keys: readonly KeyObject[];
}

/**
 * @param bytes What a `.p12` or `.pfx` file holds.
 * @throws CredentialError `passphrase-missing`, `passphrase-wrong`, `encryption-unsupported`, `malformed`
 */
export async function readPkcs12(bytes: Buffer, passphrase: string | undefined): Promise<Pkcs12Content> {
  const [, safeInfo, macData] = childrenOf(readBer(bytes));
  const safe = contentOf(safeInfo, contentOids.data);
  if (macData !== undefined) return readSafe(safe, await provePassphrase(macData, safe, passphrase));
  // Without an integrity code only what is encrypted tells whether the passphrase is right.
  let refusal: unknown;
  for (const candidate of candidatesFor(passphrase)) {
    try {
      return await readSafe(safe, candidate);
    } catch (error) {
      if (!(error instanceof CredentialError && error.code === 'passphrase-wrong')) throw error;
      refusal = error;
    }
  }
  throw passphrase === undefined ? passphraseMissing() : refusal;
}

async function readSafe(safe: Buffer, passphrase: string | undefined): Promise<Pkcs12Content> {
  const found: { certificates: X509Certificate[]; keys: KeyObject[] } = { certificates: [], keys: [] };
  for (const info of childrenOf(readBer(safe))) {
    await readBags(await openContent(info, passphrase), passphrase, found);
  }
  return found;
}

/** Writers disagree on what no passphrase means: both readings are tried. */
function candidatesFor(passphrase: string | undefined): readonly (string | undefined)[] {
  return passphrase === undefined || passphrase === '' ? ['', undefined] : [passphrase];
}

/**
 * The passphrase that the integrity code proves right. Without one given, both readings of "no passphrase" are tried.
 */
async function provePassphrase(
  macData: forge.asn1.Asn1,
  safe: Buffer,
  passphrase: string | undefined,
): Promise<string | undefined> {
  const [digestInfo, salt, iterations] = childrenOf(macData);
  const [algorithm, expected] = childrenOf(digestInfo);
  const digest = macDigests[oidOf(childrenOf(algorithm)[0])];
  // A code of an unknown kind proves nothing; a wrong passphrase then shows when something is decrypted with it.
  if (digest === undefined) return passphrase;
  const isProved = async (candidate: string | undefined): Promise<boolean> => {
    const expectedMac = bytesOf(expected);
    const key = await derivePkcs12Key({
      passphrase: candidate,
      purpose: 'mac',
      digest,
      salt: bytesOf(salt),
      iterations: iterations === undefined ? 1 : integerOf(iterations),
      length: expectedMac.length,
    });
    const mac = createHmac(digest, key).update(safe).digest();
    return mac.length === expectedMac.length && timingSafeEqual(mac, expectedMac);
  };
  for (const candidate of candidatesFor(passphrase)) if (await isProved(candidate)) return candidate;
  throw passphrase === undefined ? passphraseMissing() : passphraseWrong();
}

/** The bags' bytes, decrypted where they are not in the clear. */
async function openContent(info: forge.asn1.Asn1, passphrase: string | undefined): Promise<Buffer> {
  const type = oidOf(childrenOf(info)[0]);
  if (type === contentOids.data) return contentOf(info, contentOids.data);
  if (type !== contentOids.encryptedData)
    throw malformed(`its content is of type ${type}, which no passphrase opens`);
  const [encryptedData] = childrenOf(childrenOf(info)[1]);
  const [, contentInfo] = childrenOf(encryptedData);
  const [, algorithm, content] = childrenOf(contentInfo);
  return decryptContent(algorithm, bytesOf(content), passphrase);
}

function contentOf(info: forge.asn1.Asn1 | undefined, expectedType: string): Buffer {
  const [type, wrapped] = childrenOf(info);
  if (oidOf(type) !== expectedType) throw malformed(`its content is of type ${oidOf(type)}`);
  return bytesOf(childrenOf(wrapped)[0]);
}

async function readBags(
  bags: Buffer,
  passphrase: string | undefined,
  found: { certificates: X509Certificate[]; keys: KeyObject[] },
): Promise<void> {
  for (const bag of childrenOf(readBer(bags))) {
    const [id, wrapped] = childrenOf(bag);
    const [value] = childrenOf(wrapped);
    switch (oidOf(id)) {
      case bagOids.certificate:
        found.certificates.push(readCertificate(value));
        break;
      case bagOids.key:
        found.keys.push(parsePkcs8(writeDer(value)));
        break;
      case bagOids.shroudedKey:
        found.keys.push(parsePkcs8(await decryptPrivateKeyInfo(value, passphrase)));
        break;
      default:
      // Revocation lists and the like: nothing that a connection needs.
    }
  }
}

/** CertBag: the type, and the certificate's own DER in an octet string. */
function readCertificate(bag: forge.asn1.Asn1 | undefined): X509Certificate {
  const [, wrapped] = childrenOf(bag);
  try {
    return new X509Certificate(bytesOf(childrenOf(wrapped)[0]));
  } catch (error) {
    throw malformed('a certificate in it cannot be decoded', error);
  }
}
