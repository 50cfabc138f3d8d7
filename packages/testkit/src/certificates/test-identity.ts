import { X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { encryptCertificates } from './legacy-pkcs12.ts';

export interface Pkcs12Options {
  readonly passphrase: string;
  /**
   * `aes256`: what OpenSSL 3 and Node read. `3des`: the key under 3DES, the certificate in the clear. `legacy`: as
   * Keychain exports it, the key under 3DES and the certificate under RC2-40, which OpenSSL 3 refuses
   * (`docs/protocol/certificates.md#key-stores`). `aes256` by default.
   */
  readonly encryption?: 'aes256' | '3des' | 'legacy';
  /** The name Keychain shows. */
  readonly friendlyName?: string;
  /** Adds the certificate of the authority that signed it. */
  readonly withAuthority?: boolean;
}

/** A certificate with its private key, in every form in which they come. */
export class TestIdentity {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly privateKeyPem: string;
  /** Of the authority that signed it. */
  readonly authorityPem: string;

  constructor(certificatePem: string, privateKeyPem: string, authorityPem: string) {
    this.certificatePem = certificatePem;
    this.privateKeyPem = privateKeyPem;
    this.authorityPem = authorityPem;
  }

  /** What a `.cer` file holds. */
  get certificateDer(): Buffer {
    return this.x509.raw;
  }

  get x509(): X509Certificate {
    return new X509Certificate(this.certificatePem);
  }

  /** Certificate and key in one PEM text, the `ck.pem` of the how-tos. */
  get bundlePem(): string {
    return this.certificatePem + this.privateKeyPem;
  }

  /** The same certificate with the key of another: what a mixed-up export looks like. */
  withKeyOf(other: TestIdentity): TestIdentity {
    return new TestIdentity(this.certificatePem, other.privateKeyPem, this.authorityPem);
  }

  /** What a `.p12` file holds. */
  toPkcs12(options: Pkcs12Options): Buffer {
    const encryption = options.encryption ?? 'aes256';
    const chain = [this.certificatePem, ...(options.withAuthority === true ? [this.authorityPem] : [])].map(
      (pem) => forge.pki.certificateFromPem(pem),
    );
    const pfx = forge.pkcs12.toPkcs12Asn1(
      forge.pki.privateKeyFromPem(this.privateKeyPem),
      chain,
      options.passphrase,
      {
        algorithm: encryption === 'aes256' ? 'aes256' : '3des',
        ...(options.friendlyName === undefined ? {} : { friendlyName: options.friendlyName }),
      },
    );
    const complete = encryption === 'legacy' ? encryptCertificates(pfx, options.passphrase) : pfx;
    return Buffer.from(forge.asn1.toDer(complete).getBytes(), 'binary');
  }
}
