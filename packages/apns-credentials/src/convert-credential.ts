import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { CertificateCredential } from './credential.ts';
import { type Pkcs12Encryption, writePkcs12 } from './pkcs12/write-pkcs12.ts';

// What the how-tos do by hand with `openssl x509`, `openssl pkcs12` and `cat`.

/** The private key as PKCS #8 PEM: under AES-256 with a passphrase, in the clear without. */
export function keyToPem(credential: CertificateCredential, passphrase?: string): string {
  if (passphrase === undefined) return credential.keyPem;
  return createPrivateKey(credential.keyPem)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString();
}

/** Certificates and key in one text, the `ck.pem` of the how-tos. */
export function toJoinedPem(credential: CertificateCredential, passphrase?: string): string {
  return credential.certPem + keyToPem(credential, passphrase);
}

export interface ToPkcs12Options {
  readonly passphrase: string;
  /** `aes256` by default. */
  readonly encryption?: Pkcs12Encryption;
  /** The name that Keychain shows; the certificate's common name by default. */
  readonly friendlyName?: string;
}

/** What a `.p12` file holds. */
export async function toPkcs12(credential: CertificateCredential, options: ToPkcs12Options): Promise<Buffer> {
  const [leaf, ...rest] = credential.certPem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .map((pem) => new X509Certificate(pem));
  return writePkcs12({
    certificates: [leaf!, ...rest],
    key: createPrivateKey(credential.keyPem),
    passphrase: options.passphrase,
    encryption: options.encryption ?? 'aes256',
    friendlyName: options.friendlyName ?? credential.certificate.commonName,
  });
}
