import { createHash, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { basename } from 'node:path';
import { type CertificateFacts, readCertificateFacts } from './certificate-facts.ts';
import { CertificateCredential, type Credential, TokenCredential } from './credential.ts';
import { readCredentialFile, readPassphrase } from './credential-files.ts';
import type { CredentialLocation } from './credential-location.ts';
import { CredentialError, type CredentialErrorCode } from './errors.ts';
import { type FilePart, readFileParts } from './file-parts.ts';
import { chooseIdentity } from './identity.ts';
import { readPkcs12 } from './pkcs12/read-pkcs12.ts';
import { decodePrivateKey, privateKeyPem } from './private-key.ts';

export interface LoadOptions {
  /** Where variables that hold passphrases are looked up; the process' own by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * Reads a credential and proves that its parts belong together. What it may be used for is `checkCredential`'s
 * business: a wrong certificate can still be inspected.
 *
 * @throws CredentialError whose message names the file
 */
export async function loadCredential(
  location: CredentialLocation,
  options: LoadOptions = {},
): Promise<Credential> {
  if ('p8' in location) return loadProviderKey(location);
  const passphrase =
    location.passphrase === undefined
      ? undefined
      : await readPassphrase(location.passphrase, options.environment ?? process.env);
  try {
    if ('p12' in location) return await loadPkcs12(location.p12, passphrase);
    return await loadPem(location.cert, location.key ?? location.cert, passphrase);
  } catch (error) {
    const isWrong = error instanceof CredentialError && error.code === 'passphrase-wrong';
    if (!isWrong || passphrase?.trim() === passphrase) throw error;
    const message = `${error.message}. It begins or ends with a space, which counts`;
    throw new CredentialError(error.code, message, { cause: error });
  }
}

/** A certificate by itself, as Apple's `aps.cer`: the rest of the file is not looked at. */
export interface LoadedCertificate {
  /** PEM; all the certificates of the file, in its order. */
  readonly certPem: string;
  /** Of the first one. */
  readonly certificate: CertificateFacts;
}

/** @throws CredentialError whose message names the file */
export async function loadCertificate(path: string): Promise<LoadedCertificate> {
  const bytes = await readCredentialFile(path);
  return naming(path, async () => {
    const certificates = readCertificates(bytes);
    return { certPem: toPem(certificates), certificate: readCertificateFacts(certificates[0]) };
  });
}

async function loadPkcs12(path: string, passphrase: string | undefined): Promise<CertificateCredential> {
  const bytes = await readCredentialFile(path);
  return naming(path, async () => {
    const parts = readFileParts(bytes);
    if (parts[0]?.kind === 'certificate' || parts[0]?.kind === 'private-key')
      throw new CredentialError(
        'format-unknown',
        'This is not a .p12 file but a certificate or key by itself: name them as cert and key, not as p12',
      );
    if (parts[0]?.kind !== 'pkcs12') throw notWanted(parts, 'a .p12 file');
    const { certificates, keys } = await readPkcs12(parts[0].bytes, passphrase);
    if (keys.length === 0)
      throw new CredentialError(
        'key-missing',
        'There is no private key in it: in Keychain Access, unfold the certificate, select the key with it, ' +
          'and export both',
      );
    if (certificates.length === 0)
      throw new CredentialError(
        'certificate-missing',
        'There is no certificate in it, a private key alone: in Keychain Access, export the certificate ' +
          'together with its key',
      );
    return toCredential(certificates, keys);
  });
}

async function loadPem(
  certPath: string,
  keyPath: string,
  passphrase: string | undefined,
): Promise<CertificateCredential> {
  const [certBytes, keyBytes] = await Promise.all([
    readCredentialFile(certPath),
    readCredentialFile(keyPath),
  ]);
  const certificates = await naming(certPath, async () => readCertificates(certBytes));
  const keys = await naming(keyPath, async () => {
    const parts = readFileParts(keyBytes);
    const found = parts.flatMap((part) => (part.kind === 'private-key' ? [part.key] : []));
    if (found.length === 0) throw notWanted(parts, 'a private key', 'key-missing');
    return Promise.all(found.map(async (key) => decodePrivateKey(key, passphrase)));
  });
  return naming(certPath === keyPath ? certPath : `${certPath} and ${keyPath}`, async () =>
    toCredential(certificates, keys),
  );
}

async function loadProviderKey(location: {
  readonly p8: string;
  readonly keyId: string;
  readonly teamId: string;
}): Promise<TokenCredential> {
  const bytes = await readCredentialFile(location.p8);
  return naming(location.p8, async () => {
    const { keyId, teamId } = location;
    for (const [name, id] of Object.entries({ keyId, teamId })) {
      if (!/^[A-Z0-9]{10}$/.test(id))
        throw new CredentialError(
          'provider-ids-invalid',
          `${name} must be 10 characters of A-Z and 0-9, as the developer portal shows it; it is "${id}"`,
        );
    }
    const named = keyIdInName(location.p8);
    if (named !== undefined && named !== keyId)
      throw new CredentialError(
        'provider-ids-invalid',
        `By its name this is the key ${named}, and keyId says ${keyId}: the gateway would refuse every token. ` +
          'Set the keyId of this file, or name the file of that key',
      );
    const parts = readFileParts(bytes);
    const part = parts.find((candidate) => candidate.kind === 'private-key');
    if (part === undefined) throw notWanted(parts, 'a provider key (.p8)', 'provider-key-invalid');
    if (part.key.form.startsWith('encrypted'))
      throw new CredentialError(
        'provider-key-invalid',
        'This provider key is encrypted, and Apple gives them out in the clear: use the file as it was downloaded, or ' +
          'decrypt it with openssl pkcs8 -in <file> -out <new file>',
      );
    const key = await decodePrivateKey(part.key, undefined);
    if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
      throw new CredentialError(
        'provider-key-invalid',
        `A provider key is an EC key on the curve P-256; this one is ${describeKey(key)}. ` +
          'Was the private key of a certificate taken for it?',
      );
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
    const sha256Fingerprint = createHash('sha256').update(publicKey).digest('hex');
    return new TokenCredential({ key, keyId, teamId, sha256Fingerprint });
  });
}

function readCertificates(bytes: Buffer): [X509Certificate, ...X509Certificate[]] {
  const parts = readFileParts(bytes);
  const [first, ...rest] = parts.flatMap((part) => (part.kind === 'certificate' ? [part.certificate] : []));
  if (first === undefined) throw notWanted(parts, 'a certificate', 'certificate-missing');
  return [first, ...rest];
}

function toPem(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => certificate.toString()).join('');
}

function toCredential(
  certificates: readonly X509Certificate[],
  keys: readonly KeyObject[],
): CertificateCredential {
  const { chain, key } = chooseIdentity(certificates, keys);
  return new CertificateCredential({
    certPem: toPem(chain),
    keyPem: privateKeyPem(key),
    certificate: readCertificateFacts(chain[0]),
  });
}

/** What people hand over instead, and what they should do about it. */
const mistakes: Readonly<Record<FilePart['kind'], readonly [CredentialErrorCode, string]>> = {
  'certificate-request': [
    'certificate-request',
    'This is a certificate signing request, what was sent to Apple: download the certificate that Apple ' +
      'made of it (aps.cer) from the developer portal',
  ],
  'provisioning-profile': [
    'provisioning-profile',
    'This is a provisioning profile, which goes into an app: sending needs a push certificate or a provider key',
  ],
  pkcs12: ['format-unknown', 'This is a PKCS #12 file: name it as p12, not as cert or key'],
  certificate: [
    'key-missing',
    'There is a certificate in it and no private key: export both from Keychain Access, or name the key too',
  ],
  'private-key': ['certificate-missing', 'There is a private key in it and no certificate'],
  'public-key': ['key-missing', 'There is a public key in it: the private one is wanted'],
  pkcs7: [
    'format-unknown',
    'This is a PKCS #7 bundle of certificates: turn it into PEM with openssl pkcs7 -print_certs',
  ],
  'openssh-key': ['format-unknown', "This is a key of OpenSSH's, which no gateway takes"],
};

function notWanted(
  parts: readonly FilePart[],
  wanted: string,
  code: CredentialErrorCode = 'format-unknown',
): CredentialError {
  const [part] = parts;
  if (part === undefined)
    return new CredentialError('format-unknown', `This is not ${wanted}, neither as PEM nor as DER`);
  const [mistake, explanation] = mistakes[part.kind];
  const isTelling = mistake === 'certificate-request' || mistake === 'provisioning-profile';
  return new CredentialError(isTelling ? mistake : code, `This is not ${wanted}. ${explanation}`);
}

function describeKey(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return [key.asymmetricKeyType?.toUpperCase() ?? 'unknown', namedCurve ?? modulusLength].join(' ').trim();
}

/** Apple names the file after the key; what is added, such as ` (1)`, says nothing. */
function keyIdInName(path: string): string | undefined {
  return /^AuthKey_([A-Z0-9]{10})\b/.exec(basename(path))?.[1];
}

/** Puts the file's name before the reason. */
export async function naming<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    throw new CredentialError(error.code, `${path}: ${error.message}`, { cause: error.cause });
  }
}
