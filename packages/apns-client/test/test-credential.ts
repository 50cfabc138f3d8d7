import type { CredentialSource, TlsCredential } from '../src/index.ts';

/** A credential that a test renews, or takes away. */
export class TestCredential implements CredentialSource {
  #current: TlsCredential | Error;
  readonly #listeners = new Set<() => void>();

  constructor(current: TlsCredential | Error) {
    this.#current = current;
  }

  current(): TlsCredential {
    if (this.#current instanceof Error) throw this.#current;
    return this.#current;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  renew(current: TlsCredential | Error): void {
    this.#current = current;
    for (const listener of this.#listeners) listener();
  }
}
