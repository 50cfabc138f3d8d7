import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createProviderKey } from '@pushfleet/testkit/certificates';
import { z } from 'zod';
import type { ProviderKey } from '../http2/provider-token-verifier.ts';
import { TlsDirectoryError } from './tls-directory.ts';

/** `provider-key.json`: the ids that belong to `AuthKey.p8`. */
export const providerKeyIdsSchema = z.strictObject({
  keyId: z.string().regex(/^[A-Z0-9]{10}$/, 'must be 10 characters of A-Z and 0-9'),
  teamId: z.string().regex(/^[A-Z0-9]{10}$/, 'must be 10 characters of A-Z and 0-9'),
  environment: z.enum(['production', 'sandbox']).optional(),
});
type ProviderKeyIds = z.infer<typeof providerKeyIdsSchema>;

/**
 * The provider keys that the HTTP/2 gateway accepts tokens of: `AuthKey.p8` with `provider-key.json` in the directory of
 * certificates, used when they are there and made when not, and those added later.
 */
export class ProviderKeys {
  readonly #folder: string;
  readonly #keys: ProviderKey[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws TlsDirectoryError that names the file */
  static async open(folder: string): Promise<ProviderKeys> {
    const keys = new ProviderKeys(folder);
    const keyFile = join(folder, 'AuthKey.p8');
    const idsFile = join(folder, 'provider-key.json');
    const [p8, ids] = await Promise.all([read(keyFile), read(idsFile)]);
    if (p8 === undefined && ids === undefined) {
      await keys.#create(keyFile, idsFile, { keyId: 'SIMULATED1', teamId: 'PUSHFLEET1' });
    } else if (p8 === undefined || ids === undefined) {
      const missing = p8 === undefined ? keyFile : idsFile;
      throw new TlsDirectoryError(
        `${missing} is missing, and its other half is there: remove that or add this`,
      );
    } else {
      keys.#keys.push({ ...parseIds(idsFile, ids), publicKey: parseKey(keyFile, p8) });
    }
    return keys;
  }

  get all(): readonly ProviderKey[] {
    return this.#keys;
  }

  /** Makes one more key; gives the paths of its files. @throws TlsDirectoryError when its id is taken */
  async add(name: string, ids: ProviderKeyIds): Promise<{ readonly p8: string; readonly ids: string }> {
    if (this.#keys.some(({ keyId }) => keyId === ids.keyId)) {
      throw new TlsDirectoryError(`there is a key ${ids.keyId} already`);
    }
    const folder = join(this.#folder, 'apps');
    await mkdir(folder, { recursive: true });
    const files = { p8: join(folder, `${name}.p8`), ids: join(folder, `${name}-provider-key.json`) };
    await this.#create(files.p8, files.ids, ids);
    return files;
  }

  async #create(keyFile: string, idsFile: string, ids: ProviderKeyIds): Promise<void> {
    const { p8, publicKeyPem } = createProviderKey();
    await writeFile(keyFile, p8, { mode: 0o600 });
    await writeFile(idsFile, `${JSON.stringify(ids)}\n`);
    this.#keys.push({ ...ids, publicKey: createPublicKey(publicKeyPem) });
  }
}

function parseIds(path: string, text: string): ProviderKeyIds {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw new TlsDirectoryError(`${path} is not JSON`, { cause });
  }
  const parsed = providerKeyIdsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
  throw new TlsDirectoryError(`${path}: ${problems.join('; ')}`);
}

function parseKey(path: string, pem: string): KeyObject {
  try {
    const key = createPublicKey(createPrivateKey(pem));
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  } catch (cause) {
    throw new TlsDirectoryError(`${path} is not a private key in PEM`, { cause });
  }
  throw new TlsDirectoryError(`${path} is not a key on the curve P-256`);
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
