import { createDecipheriv, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { CredentialError, passphraseWrong } from '../errors.ts';
import { bytesOf, childrenOf, integerOf, oidOf } from './ber.ts';
import { derivePkcs12Key } from './key-derivation.ts';

// Decrypts what is encrypted with a passphrase inside .p12 files and encrypted PKCS #8 keys: the old schemes of
// RFC 7292 appendix C, of which OpenSSL 3 refuses the RC2 ones that Keychain still writes, and PBES2 (RFC 8018).

/** In the thread pool: 600,000 rounds and more are usual, and would hold the event loop up for half a second. */
const derivePbkdf2 = promisify(pbkdf2);

interface Pkcs12Scheme {
  readonly keyBytes: number;
  readonly decrypt: (key: Buffer, iv: Buffer, content: Buffer) => Buffer;
}

const blockBytes = 8;

const pkcs12Schemes: Readonly<Record<string, Pkcs12Scheme>> = {
  // pbeWithSHAAnd3-KeyTripleDES-CBC
  '1.2.840.113549.1.12.1.3': { keyBytes: 24, decrypt: decryptTripleDes },
  // pbeWithSHAAnd2-KeyTripleDES-CBC: the first key serves as the third, too.
  '1.2.840.113549.1.12.1.4': {
    keyBytes: 16,
    decrypt: (key, iv, content) =>
      decryptTripleDes(Buffer.concat([key, key.subarray(0, blockBytes)]), iv, content),
  },
  // pbeWithSHAAnd128BitRC2-CBC
  '1.2.840.113549.1.12.1.5': { keyBytes: 16, decrypt: decryptRc2 },
  // pbeWithSHAAnd40BitRC2-CBC
  '1.2.840.113549.1.12.1.6': { keyBytes: 5, decrypt: decryptRc2 },
};

const pbes2Oid = '1.2.840.113549.1.5.13';
const pbkdf2Oid = '1.2.840.113549.1.5.12';

const pbkdf2Digests: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

const pbes2Ciphers: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24 },
};

/**
 * The PrivateKeyInfo in an EncryptedPrivateKeyInfo (RFC 5958), as DER.
 *
 * @throws CredentialError `passphrase-wrong`, `encryption-unsupported`, `malformed`
 */
export async function decryptPrivateKeyInfo(
  encrypted: forge.asn1.Asn1 | undefined,
  passphrase: string | undefined,
): Promise<Buffer> {
  const [algorithm, content] = childrenOf(encrypted);
  const plain = await decryptContent(algorithm, bytesOf(content), passphrase);
  // Padding is right by chance once in 256 tries: a SEQUENCE it must be, too.
  if (plain[0] !== 0x30) throw passphraseWrong();
  return plain;
}

/**
 * @param algorithm An AlgorithmIdentifier that names the scheme and holds its parameters.
 * @throws CredentialError `passphrase-wrong`, `encryption-unsupported`, `malformed`
 */
export async function decryptContent(
  algorithm: forge.asn1.Asn1 | undefined,
  content: Buffer,
  passphrase: string | undefined,
): Promise<Buffer> {
  const [id, parameters] = childrenOf(algorithm);
  const oid = oidOf(id);
  if (oid === pbes2Oid) return decryptPbes2(parameters, content, passphrase ?? '');
  const scheme = pkcs12Schemes[oid];
  if (scheme === undefined) throw unsupported(`scheme ${oid}`);
  const [salt, iterations] = childrenOf(parameters);
  const derive = async (purpose: 'key' | 'iv', length: number): Promise<Buffer> =>
    derivePkcs12Key({
      passphrase,
      purpose,
      length,
      digest: 'sha1',
      salt: bytesOf(salt),
      iterations: integerOf(iterations),
    });
  return scheme.decrypt(await derive('key', scheme.keyBytes), await derive('iv', blockBytes), content);
}

async function decryptPbes2(
  parameters: forge.asn1.Asn1 | undefined,
  content: Buffer,
  passphrase: string,
): Promise<Buffer> {
  const [derivation, encryption] = childrenOf(parameters);
  const [derivationId, derivationParameters] = childrenOf(derivation);
  if (oidOf(derivationId) !== pbkdf2Oid) throw unsupported(`key derivation ${oidOf(derivationId)}`);
  const [salt, iterations, ...optional] = childrenOf(derivationParameters);
  const prf = optional.find((node) => node.type === forge.asn1.Type.SEQUENCE);
  // Without one, HMAC with SHA-1 (RFC 8018 appendix A.2).
  const digest = prf === undefined ? 'sha1' : pbkdf2Digests[oidOf(childrenOf(prf)[0])];
  const [cipherId, iv] = childrenOf(encryption);
  const cipher = pbes2Ciphers[oidOf(cipherId)];
  if (digest === undefined) throw unsupported(`pseudo-random function ${oidOf(childrenOf(prf)[0])}`);
  if (cipher === undefined) throw unsupported(`cipher ${oidOf(cipherId)}`);
  // PBES2 takes the passphrase as UTF-8, unlike the old schemes.
  const key = await derivePbkdf2(passphrase, bytesOf(salt), integerOf(iterations), cipher.keyBytes, digest);
  return decipher(cipher.name, key, bytesOf(iv), content);
}

function decryptTripleDes(key: Buffer, iv: Buffer, content: Buffer): Buffer {
  return decipher('des-ede3-cbc', key, iv, content);
}

function decipher(name: string, key: Buffer, iv: Buffer, content: Buffer): Buffer {
  try {
    const cipher = createDecipheriv(name, key, iv);
    return Buffer.concat([cipher.update(content), cipher.final()]);
  } catch (error) {
    throw passphraseWrong(error);
  }
}

/** OpenSSL 3, and so Node, has no RC2 any more. */
function decryptRc2(key: Buffer, iv: Buffer, content: Buffer): Buffer {
  const cipher = forge.rc2.createDecryptionCipher(key.toString('latin1'), key.length * 8);
  cipher.start(iv.toString('latin1'));
  cipher.update(forge.util.createBuffer(content.toString('latin1')));
  if (!cipher.finish()) throw passphraseWrong();
  return Buffer.from(cipher.output.getBytes(), 'latin1');
}

function unsupported(what: string): CredentialError {
  return new CredentialError(
    'encryption-unsupported',
    `The private key or certificate is encrypted by ${what}, which is not known here: export it anew`,
  );
}
