import { basename } from 'node:path';
import { type CredentialLocation, locateCredential, recognizeCredential } from '@pushfleet/apns-credentials';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';

/** The options that belong to a credential's file, as commander parses them. */
export interface CredentialOptions {
  readonly key?: string;
  readonly keyId?: string;
  readonly teamId?: string;
  readonly passphraseFile?: string;
  readonly passphraseEnv?: string;
}

/** What a credential's file may be, in the words of help. */
export const fileHelp = 'a .p12, .pem, .cer or .p8 file; told apart by what is in it, not by its name';

export function addCredentialOptions(command: Command): Command {
  return command
    .option('--key <file>', 'private key of the certificate, when it is in a file of its own')
    .option('--passphrase-file <file>', 'file with the passphrase of the .p12 or the key')
    .option('--passphrase-env <name>', 'environment variable with the passphrase')
    .option(
      '--key-id <id>',
      'of a .p8 key: 10 characters; left out, from a name such as AuthKey_ABCDE12345.p8',
    )
    .option('--team-id <id>', 'of a .p8 key: 10 characters');
}

/** @throws CliError `usage`; CredentialError where the file cannot be read */
export async function locateFile(file: string, options: CredentialOptions): Promise<CredentialLocation> {
  const { key, teamId, passphraseFile, passphraseEnv } = options;
  if (passphraseFile !== undefined && passphraseEnv !== undefined) {
    throw new CliError('usage', 'give --passphrase-file or --passphrase-env, not both');
  }
  const passphrase = { passphraseFile, passphraseEnv };
  const kind = await recognizeCredential(file);
  if (kind === 'cert') return locateCredential({ cert: file, key, ...passphrase });
  if (key !== undefined) throw new CliError('usage', `${file} holds a private key itself: leave --key out`);
  if (kind === 'p12') return locateCredential({ p12: file, ...passphrase });
  const keyId = options.keyId ?? /^AuthKey_([A-Z0-9]{10})\.p8$/.exec(basename(file))?.[1];
  if (keyId === undefined || teamId === undefined) {
    const missing = [keyId === undefined ? '--key-id' : [], teamId === undefined ? '--team-id' : []].flat();
    throw new CliError(
      'usage',
      `${file} is a provider key, which needs ${missing.join(' and ')}: the developer portal shows both ids`,
    );
  }
  return locateCredential({ p8: file, keyId, teamId });
}
