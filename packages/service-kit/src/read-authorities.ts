import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const pemBlock =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/** More authorities than any system has, bytes. */
const largestFileBytes = 10_000_000;

/**
 * The certificates in a `gateway.ca`, as PEM. DER, which browsers save, is taken as well.
 * @throws Error whose message names the file and says why it cannot be used
 */
export function readAuthorities(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new Error(`names a file that does not exist: ${path}`);
    throw new Error(`names a file that cannot be read (${code}): ${path}`, { cause: error });
  }
  if (bytes.every((byte) => byte <= 0x20)) throw new Error(`names a file that is empty: ${path}`);
  if (bytes.length > largestFileBytes) throw new Error(`names a file that is too large: ${path}`);
  const blocks = bytes.toString('latin1').match(pemBlock) ?? [];
  try {
    if (blocks.length === 0) return new X509Certificate(bytes).toString();
    return blocks.map((block) => new X509Certificate(block).toString()).join('');
  } catch (error) {
    throw new Error(`names a file that holds no certificate, or a damaged one: ${path}`, { cause: error });
  }
}

/**
 * The authorities in a file as they are at each call, so that a renewed file needs no restart. While the file cannot be
 * used, those read before stay.
 * @throws as `readAuthorities`, when it cannot be used at the start
 */
export function createAuthoritiesReader(path: string): () => string {
  let last = readAuthorities(path);
  return () => {
    try {
      last = readAuthorities(path);
    } catch {
      // The file may be in the middle of a change.
    }
    return last;
  };
}
