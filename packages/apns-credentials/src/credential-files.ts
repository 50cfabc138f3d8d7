import { open } from 'node:fs/promises';
import type { PassphraseLocation } from './credential-location.ts';
import { CredentialError } from './errors.ts';

/** Credentials are a few kilobytes; what is larger is something else, a disk image or a log. */
const largestFileBytes = 1_048_576;

/** @throws CredentialError `file-missing`, `file-unreadable`, `file-too-large` */
export async function readCredentialFile(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const stat = await file.stat();
    if (stat.isDirectory())
      throw new CredentialError('file-unreadable', `${path} is a folder: a file is wanted`);
    if (stat.size > largestFileBytes)
      throw new CredentialError('file-too-large', `${path} has ${stat.size} bytes: that is no credential`);
    return await file.readFile();
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new CredentialError('file-missing', `There is no file ${path}`, { cause: error });
    throw new CredentialError('file-unreadable', `${path} cannot be read (${code ?? String(error)})`, {
      cause: error,
    });
  }
}

/**
 * Without the newline that an editor or `echo` leaves at the end of a file.
 *
 * @throws CredentialError `passphrase-unavailable`
 */
export async function readPassphrase(
  location: PassphraseLocation,
  environment: NodeJS.ProcessEnv,
): Promise<string> {
  if ('env' in location) {
    const value = environment[location.env];
    if (value !== undefined) return value;
    throw new CredentialError(
      'passphrase-unavailable',
      `The passphrase should be in the environment variable ${location.env}, which is not set`,
    );
  }
  try {
    return (await readCredentialFile(location.file)).toString('utf8').replace(/\r?\n$/, '');
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    throw new CredentialError('passphrase-unavailable', `The passphrase is missing: ${error.message}`, {
      cause: error,
    });
  }
}
