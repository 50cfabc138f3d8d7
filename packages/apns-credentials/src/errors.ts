/** Everything that can be wrong with a credential; stable, usable as a metric label. */
export type CredentialErrorCode =
  // Files.
  | 'file-missing'
  | 'file-unreadable'
  | 'file-too-large'
  | 'format-unknown'
  | 'malformed'
  // Passphrases.
  | 'passphrase-missing'
  | 'passphrase-wrong'
  | 'passphrase-unavailable'
  | 'encryption-unsupported'
  // The wrong thing in the right place.
  | 'certificate-request'
  | 'provisioning-profile'
  | 'not-a-push-certificate'
  | 'certificate-missing'
  | 'key-missing'
  | 'key-mismatch'
  | 'several-identities'
  | 'provider-key-invalid'
  | 'provider-ids-invalid'
  // Right in itself, and not for this use.
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'environment-mismatch'
  | 'topic-not-covered';

/**
 * Base of every error this package throws. The message says what is wrong and what to do about it; it names files,
 * and never holds any part of a key or a passphrase.
 */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  readonly code: CredentialErrorCode;

  constructor(code: CredentialErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function passphraseMissing(): CredentialError {
  return new CredentialError(
    'passphrase-missing',
    'The private key is encrypted, and no passphrase is given: name a file with passphraseFile, ' +
      'or a variable of the environment with passphraseEnv',
  );
}

export function passphraseWrong(cause?: unknown): CredentialError {
  return new CredentialError('passphrase-wrong', 'The passphrase is wrong', { cause });
}
