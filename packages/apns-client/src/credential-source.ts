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
