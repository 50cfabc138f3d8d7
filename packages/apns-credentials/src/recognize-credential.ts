import { readCredentialFile } from './credential-files.ts';
import { type FilePart, readFileParts } from './file-parts.ts';

/** OBJECT IDENTIFIER prime256v1, the curve of provider keys: 1.2.840.10045.3.1.7. */
const p256Oid = Buffer.from('06082a8648ce3d030107', 'hex');

/**
 * As what a file should be given to `loadCredential`, by what it holds. `cert` also for what is no credential at all:
 * loading it says what it is instead.
 *
 * @throws CredentialError `file-missing`, `file-unreadable`, `file-too-large`, `format-unknown`, `malformed`
 */
export async function recognizeCredential(path: string): Promise<'p12' | 'cert' | 'p8'> {
  const parts = readFileParts(await readCredentialFile(path));
  if (parts.some((part) => part.kind === 'pkcs12')) return 'p12';
  return parts.length > 0 && parts.every(isProviderKey) ? 'p8' : 'cert';
}

function isProviderKey(part: FilePart): boolean {
  return part.kind === 'private-key' && part.key.form === 'pkcs8' && part.key.bytes.includes(p256Oid);
}
