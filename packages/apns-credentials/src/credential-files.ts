import { constants, open } from 'node:fs/promises';
import type { PassphraseLocation } from './credential-location.ts';
import { decodeText } from './decode-text.ts';
import { CredentialError } from './errors.ts';

/** Credentials are a few kilobytes; what is larger is something else, a disk image or a log. */
const largestFileBytes = 1_048_576;

/** @throws CredentialError `file-missing`, `file-unreadable`, `file-too-large`, `format-unknown` where it is empty */
export async function readCredentialFile(path: string): Promise<Buffer> {
  try {
    // Without NONBLOCK the opening of a named pipe waits until somebody writes to it.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (stat.isDirectory())
      throw new CredentialError('file-unreadable', `${path} is a folder: a file is wanted`);
    if (!stat.isFile())
      throw new CredentialError('file-unreadable', `${path} is no regular file but a pipe, socket or device`);
    if (stat.size > largestFileBytes)
      throw new CredentialError('file-too-large', `${path} has ${stat.size} bytes: that is no credential`);
    const bytes = await file.readFile();
    if (bytes.length === 0) throw new CredentialError('format-unknown', `${path} is empty`);
    return bytes;
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new CredentialError('file-missing', `There is no file ${path}`, { cause: error });
    const why = code === 'EACCES' ? 'this user has no right to read it, EACCES' : (code ?? String(error));
    throw new CredentialError('file-unreadable', `${path} cannot be read (${why})`, { cause: error });
  }
}

/**
 * Without the line ends that an editor or `echo` leaves at the end of a file, and without a byte order mark.
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
    return decodeText(await readCredentialFile(location.file), 'utf8').replace(/[\r\n]+$/, '');
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    throw new CredentialError('passphrase-unavailable', `The passphrase is missing: ${error.message}`, {
      cause: error,
    });
  }
}
