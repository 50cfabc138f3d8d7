import { randomUUID } from 'node:crypto';
import { link, rename, rm, writeFile } from 'node:fs/promises';
import { CliError } from './cli-error.ts';

export interface WriteOptions {
  /** Readable by the owner alone. */
  readonly isSecret: boolean;
  /** Replaces a file that is there. */
  readonly force: boolean;
}

/**
 * Writes a whole file or none of it.
 * @throws CliError `file-exists`, `file-not-written`
 */
export async function writeOutput(
  path: string,
  content: string | Buffer,
  { isSecret, force }: WriteOptions,
): Promise<void> {
  const partial = `${path}.${randomUUID()}`;
  try {
    await writeFile(partial, content, { flag: 'wx', mode: isSecret ? 0o600 : 0o644 });
    if (force) await rename(partial, path);
    else await link(partial, path);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') {
      throw new CliError('file-exists', `${path} is there already: name another file, or give --force`);
    }
    throw new CliError('file-not-written', `${path} cannot be written: ${code ?? message}`, { cause });
  } finally {
    await rm(partial, { force: true });
  }
}
