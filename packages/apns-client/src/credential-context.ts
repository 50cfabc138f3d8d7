import { createSecureContext, type SecureContext } from 'node:tls';
import type { CredentialSource, TlsCredential } from './credential-source.ts';
import { describeError } from './node-error.ts';

/** A credential as TLS takes it, read anew whenever its source says so; without a source, no credential is shown. */
export class CredentialContext {
  /** Of the last good credential; undefined while there has not been one. */
  secureContext: SecureContext | undefined;
  /** Why the last one could not be used. */
  problem: string | undefined;
  readonly #source: CredentialSource | undefined;
  readonly #ca: string | undefined;

  constructor(source: CredentialSource | undefined, ca: string | undefined) {
    this.#source = source;
    this.#ca = ca;
    this.load();
  }

  load(): void {
    try {
      this.secureContext = createContext(this.#source?.current(), this.#ca);
      this.problem = undefined;
    } catch (error) {
      this.problem = describeError(error);
    }
  }
}

/** @throws what Node says of a credential, or of authorities, that it cannot read */
export function createContext(own: TlsCredential | undefined, ca: string | undefined): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
    ...(ca === undefined ? {} : { ca }),
  });
}
