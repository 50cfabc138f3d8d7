import { createSecureContext, type SecureContext } from 'node:tls';
import { describeError } from './node-error.ts';

/** TLS material as `tls.createSecureContext` takes it: PEM, already decrypted. */
export interface TlsCredential {
  readonly cert: string;
  readonly key: string;
}

/** A credential that may change while connections live: a renewed certificate must not need a restart. */
export interface CredentialSource {
  current(): TlsCredential;
  /** Calls the listener after each change; the function that comes back unsubscribes. */
  onChange(listener: () => void): () => void;
}

/** PEM of authorities, or what gives the PEM as it is now: it is asked before each connection. */
export type Authorities = string | (() => string);

/** A credential as TLS takes it, read anew whenever its source says so; without a source, no credential is shown. */
export class CredentialContext {
  #secureContext: SecureContext | undefined;
  /** Those that `#secureContext` trusts. */
  #trusted: string | undefined;
  /** Why the last one could not be used. */
  problem: string | undefined;
  readonly #source: CredentialSource | undefined;
  readonly #ca: Authorities | undefined;

  constructor(source: CredentialSource | undefined, ca: Authorities | undefined) {
    this.#source = source;
    this.#ca = ca;
    this.load();
  }

  /** Of the last good credential and the authorities as they are now; undefined while there has not been one. */
  get secureContext(): SecureContext | undefined {
    if (typeof this.#ca === 'function' && this.#ca() !== this.#trusted) this.load();
    return this.#secureContext;
  }

  load(): void {
    try {
      this.#trusted = typeof this.#ca === 'function' ? this.#ca() : this.#ca;
      this.#secureContext = createContext(this.#source?.current(), this.#trusted);
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
