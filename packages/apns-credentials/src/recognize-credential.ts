import { basename } from 'node:path';
import { readCredentialFile } from './credential-files.ts';
import { type FilePart, readFileParts } from './file-parts.ts';
import { naming } from './load-credential.ts';
import { decodePrivateKey } from './private-key.ts';

/**
 * As what a file should be given to `loadCredential`, by what it holds. `cert` also for what is no credential at all:
 * loading it says what it is instead.
 *
 * @throws CredentialError `file-missing`, `file-unreadable`, `file-too-large`, `format-unknown`, `malformed`
 */
export async function recognizeCredential(path: string): Promise<'p12' | 'cert' | 'p8'> {
  const bytes = await readCredentialFile(path);
  return naming(path, async () => {
    const parts = readFileParts(bytes);
    if (parts.some((part) => part.kind === 'pkcs12')) return 'p12';
    // `openssl ecparam -genkey` writes the parameters of the curve beside the key.
    const others = parts.filter((part) => part.kind !== 'public-key');
    const areKeys = await Promise.all(others.map(async (part) => isProviderKey(part, path)));
    return others.length > 0 && areKeys.every(Boolean) ? 'p8' : 'cert';
  });
}

/** One on P-256 in any form; an encrypted one by its name only, so that loading it says what is wrong. */
async function isProviderKey(part: FilePart, path: string): Promise<boolean> {
  if (part.kind !== 'private-key') return false;
  if (part.key.form.startsWith('encrypted')) return /\.p8$/i.test(basename(path));
  const { asymmetricKeyDetails } = await decodePrivateKey(part.key, undefined);
  return asymmetricKeyDetails?.namedCurve === 'prime256v1';
}
