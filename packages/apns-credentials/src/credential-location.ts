import { resolve } from 'node:path';

/**
 * Where a passphrase comes from: a file (one line; its newline is not part of it) or a variable of the environment.
 * Never an argument of a program: everybody on the machine can read those.
 */
export type PassphraseLocation = { readonly file: string } | { readonly env: string };

/** Where a credential lies. Paths; PEM and DER are told apart by their content, not by their names. */
export type CredentialLocation =
  | { readonly p12: string; readonly passphrase?: PassphraseLocation }
  /** `key` may be the same file as `cert`, the joined `ck.pem` of the how-tos; it is so when left out. */
  | { readonly cert: string; readonly key?: string; readonly passphrase?: PassphraseLocation }
  | { readonly p8: string; readonly keyId: string; readonly teamId: string };

/** An app's `credential` in pushfleet.yaml, in plain fields. */
export type CredentialFields =
  | {
      readonly p12: string;
      readonly passphraseFile?: string | undefined;
      readonly passphraseEnv?: string | undefined;
    }
  | {
      readonly cert: string;
      readonly key?: string | undefined;
      readonly passphraseFile?: string | undefined;
      readonly passphraseEnv?: string | undefined;
    }
  | { readonly p8: string; readonly keyId: string; readonly teamId: string };

/** @param folder What relative paths start from: that of the configuration file. */
export function locateCredential(fields: CredentialFields, folder = '.'): CredentialLocation {
  const path = (name: string): string => resolve(folder, name);
  if ('p8' in fields) return { p8: path(fields.p8), keyId: fields.keyId, teamId: fields.teamId };
  const { passphraseFile, passphraseEnv } = fields;
  const passphrase: { passphrase?: PassphraseLocation } =
    passphraseFile !== undefined
      ? { passphrase: { file: path(passphraseFile) } }
      : passphraseEnv !== undefined
        ? { passphrase: { env: passphraseEnv } }
        : {};
  if ('p12' in fields) return { p12: path(fields.p12), ...passphrase };
  return {
    cert: path(fields.cert),
    ...(fields.key === undefined ? {} : { key: path(fields.key) }),
    ...passphrase,
  };
}

/** The files that make up a credential, its passphrase's among them. */
export function filesOf(location: CredentialLocation): string[] {
  if ('p8' in location) return [location.p8];
  const files =
    'p12' in location
      ? [location.p12]
      : [location.cert, ...(location.key === undefined ? [] : [location.key])];
  if (location.passphrase !== undefined && 'file' in location.passphrase)
    files.push(location.passphrase.file);
  return [...new Set(files)];
}
