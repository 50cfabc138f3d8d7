export * from './certificate-facts.ts';
export * from './check-credential.ts';
export * from './convert-credential.ts';
export * from './credential.ts';
export { readPassphrase } from './credential-files.ts';
export * from './credential-location.ts';
export { CredentialError, type CredentialErrorCode } from './errors.ts';
export * from './expiry.ts';
export {
  type LoadedCertificate,
  type LoadOptions,
  loadCertificate,
  loadCredential,
} from './load-credential.ts';
export type { Pkcs12Encryption } from './pkcs12/write-pkcs12.ts';
export * from './provider-token/provider-token-source.ts';
export * from './provider-token/provider-token-store.ts';
export * from './provider-token/redis-token-store.ts';
export * from './provider-token/sign-provider-token.ts';
export { recognizeCredential } from './recognize-credential.ts';
export * from './watched-credential.ts';
