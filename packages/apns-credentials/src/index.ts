export * from './certificate-facts.ts';
export * from './check-credential.ts';
export * from './credential.ts';
export * from './credential-location.ts';
export { CredentialError, type CredentialErrorCode } from './errors.ts';
export * from './expiry.ts';
export { type LoadOptions, loadCredential } from './load-credential.ts';
export * from './watched-credential.ts';
