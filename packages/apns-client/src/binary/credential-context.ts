import { createSecureContext, type SecureContext } from 'node:tls';
import type { CredentialSource } from '../credential-source.ts';
import { describeError } from '../node-error.ts';

/** A credential as TLS takes it, read anew whenever its source says so. */
export class CredentialContext {
  /** Of the last good credential; undefined while there has not been one. */
  secureContext: SecureContext | undefined;
  /** Why the last one could not be used. */
  problem: string | undefined;
  readonly #source: CredentialSource;
  readonly #ca: string | undefined;

  constructor(source: CredentialSource, ca: string | undefined) {
    this.#source = source;
    this.#ca = ca;
    this.load();
  }

  /** Whether there is a good one now. */
  load(): boolean {
    try {
      const { cert, key } = this.#source.current();
      const ca = this.#ca === undefined ? {} : { ca: this.#ca };
      this.secureContext = createSecureContext({ cert, key, minVersion: 'TLSv1.2', ...ca });
      this.problem = undefined;
      return true;
    } catch (error) {
      this.problem = describeError(error);
      return false;
    }
  }
}
