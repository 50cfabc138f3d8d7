import { createPrivateKey, type KeyObject } from 'node:crypto';
import { CredentialError, passphraseMissing, passphraseWrong } from './errors.ts';
import type { EncodedKey } from './file-parts.ts';
import { readBer } from './pkcs12/ber.ts';
import { decryptPrivateKeyInfo } from './pkcs12/encrypted-content.ts';

/** @throws CredentialError `passphrase-missing`, `passphrase-wrong`, `encryption-unsupported`, `malformed` */
export async function decodePrivateKey(key: EncodedKey, passphrase: string | undefined): Promise<KeyObject> {
  switch (key.form) {
    case 'pkcs8':
      return parsePkcs8(key.bytes);
    case 'traditional':
      return parseTraditional(key.bytes);
    case 'encrypted-pkcs8':
      if (passphrase === undefined) throw passphraseMissing();
      return parsePkcs8(await decryptPrivateKeyInfo(readBer(key.bytes), passphrase));
    case 'encrypted-traditional':
      if (passphrase === undefined) throw passphraseMissing();
      return decryptTraditional(key.bytes, passphrase);
  }
}

/** @throws CredentialError `malformed` */
export function parsePkcs8(der: Buffer): KeyObject {
  return parseKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** PKCS #8 PEM, decrypted. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function parseTraditional(der: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs1' });
  } catch {
    return parseKey({ key: der, format: 'der', type: 'sec1' });
  }
}

function parseKey(input: Parameters<typeof createPrivateKey>[0]): KeyObject {
  try {
    return createPrivateKey(input);
  } catch (error) {
    throw new CredentialError('malformed', 'The private key is damaged: it cannot be decoded', {
      cause: error,
    });
  }
}

/** OpenSSL's own encryption of PEM (heads as in RFC 1421), with those ciphers that OpenSSL 3 still has. */
function decryptTraditional(pem: Buffer, passphrase: string): KeyObject {
  const cipher = /^DEK-Info:\s*([A-Z0-9-]+)/m.exec(pem.toString('latin1'))?.[1] ?? 'unknown';
  if (!/^(DES-EDE3|AES-(128|192|256))-CBC$/.test(cipher))
    throw new CredentialError(
      'encryption-unsupported',
      `The private key is encrypted with ${cipher}, which is out of use: encrypt it anew with AES`,
    );
  if (!/\n\s*\n/.test(pem.toString('latin1')))
    throw new CredentialError(
      'malformed',
      'The line ends of the encrypted private key are lost, and its head with them: save it again with its lines',
    );
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch (error) {
    // A wrong passphrase shows as bad padding, or where that is right by chance, as bad content.
    throw passphraseWrong(error);
  }
}
