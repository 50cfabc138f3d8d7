import { createSecureContext, type SecureContext } from 'node:tls';
import type { ConnectGate } from '../transport/connect-gate.ts';
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

/** A credential as TLS takes it. Without a source, no credential is shown. */
export class CredentialContext {
  #secureContext: SecureContext | undefined;
  #problem: string | undefined;
  /** The authorities that `#secureContext` trusts. */
  #trusted: string | undefined;
  readonly #source: CredentialSource | undefined;
  readonly #ca: Authorities | undefined;

  constructor(source: CredentialSource | undefined, ca: Authorities | undefined) {
    this.#source = source;
    this.#ca = ca;
    this.load();
  }

  /** Of the last credential that could be used; undefined while there has not been one. */
  get secureContext(): SecureContext | undefined {
    return this.#secureContext;
  }

  /** Why the last one could not be used. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the credential and the authorities. One that cannot be used leaves the last good one in place. */
  load(): void {
    try {
      this.#trusted = this.#readAuthorities();
      this.#secureContext = createContext(this.#source?.current(), this.#trusted);
      this.#problem = undefined;
    } catch (error) {
      this.#problem = describeError(error);
    }
  }

  /** Loads again if the authorities are others than before. To be called before a connection is opened. */
  refresh(): void {
    if (typeof this.#ca === 'function' && this.#ca() !== this.#trusted) this.load();
  }

  #readAuthorities(): string | undefined {
    return typeof this.#ca === 'function' ? this.#ca() : this.#ca;
  }
}

/** Pauses the gate while there is no credential to connect with. Connections that live on the last good one go on. */
export function pauseWithoutCredential(
  gate: ConnectGate,
  { problem, secureContext }: CredentialContext,
  nowMs: number,
): void {
  if (problem !== undefined && secureContext === undefined) gate.refused(nowMs, problem, 'worker');
}

/** @throws what Node says of a credential, or of authorities, that it cannot read */
export function createContext(own: TlsCredential | undefined, ca: string | undefined): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(own === undefined ? {} : { cert: own.cert, key: own.key }),
    ...(ca === undefined ? {} : { ca }),
  });
}
