import type { KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import type { CertificateFacts } from './certificate-facts.ts';

/** What an app shows the gateway that it may send. */
export type Credential = CertificateCredential | TokenCredential;

/**
 * A push certificate with its private key. Showing, logging or serialising one gives the facts and never the key:
 * that is behind a getter, which enumeration does not see.
 */
export class CertificateCredential {
  readonly kind = 'certificate';
  /** PEM: the certificate, then those that lead from it to its authority, as far as they were at hand. */
  readonly certPem: string;
  readonly certificate: CertificateFacts;
  readonly #keyPem: string;

  constructor(options: { certPem: string; keyPem: string; certificate: CertificateFacts }) {
    this.certPem = options.certPem;
    this.certificate = options.certificate;
    this.#keyPem = options.keyPem;
  }

  /** The private key: PKCS #8 PEM, decrypted. */
  get keyPem(): string {
    return this.#keyPem;
  }

  /** The same for two credentials exactly when they are interchangeable. */
  get fingerprint(): string {
    return this.certificate.sha256Fingerprint;
  }

  toJSON(): object {
    return { kind: this.kind, certificate: this.certificate };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}

/**
 * A provider's signing key (`.p8`), from which provider tokens are made (`docs/protocol/http2.md#provider-token`).
 * Shows as above.
 */
export class TokenCredential {
  readonly kind = 'token';
  /** Of the key: 10 characters. */
  readonly keyId: string;
  /** Of the developer's team: 10 characters. */
  readonly teamId: string;
  /** SHA-256 of the public key (SPKI DER), 64 lower-case hex digits. */
  readonly sha256Fingerprint: string;
  readonly #key: KeyObject;

  constructor(options: { key: KeyObject; keyId: string; teamId: string; sha256Fingerprint: string }) {
    this.keyId = options.keyId;
    this.teamId = options.teamId;
    this.sha256Fingerprint = options.sha256Fingerprint;
    this.#key = options.key;
  }

  /** Signs; a KeyObject does not show its key material either. */
  get key(): KeyObject {
    return this.#key;
  }

  /** The same for two credentials exactly when they are interchangeable. */
  get fingerprint(): string {
    return `${this.teamId}.${this.keyId}.${this.sha256Fingerprint}`;
  }

  toJSON(): object {
    const { kind, keyId, teamId, sha256Fingerprint } = this;
    return { kind, keyId, teamId, sha256Fingerprint };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}
