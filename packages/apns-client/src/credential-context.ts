import { createSecureContext, type SecureContext } from 'node:tls';
import type { CredentialSource } from './credential-source.ts';
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
      const own = this.#source?.current();
      this.secureContext = createSecureContext({
        minVersion: 'TLSv1.2',
        ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
        ...(this.#ca === undefined ? {} : { ca: this.#ca }),
      });
      this.problem = undefined;
    } catch (error) {
      this.problem = describeError(error);
    }
  }
}
