import { readFileSync } from 'node:fs';
import type { FleetApp } from './fleet-app.ts';

/**
 * A proxy with the value of its `proxy-authorization`, read from its file at each use: a renewed one needs no restart.
 * While the file cannot be read, the value read before stays.
 * @throws where the file with its credential cannot be read at the start
 */
export function readProxy({ host, port, credentialFile }: NonNullable<FleetApp['proxy']>): {
  readonly host: string;
  readonly port: number;
  readonly authorization?: string;
} {
  if (credentialFile === undefined) return { host, port };
  let last = readAuthorization(credentialFile);
  return {
    host,
    port,
    get authorization() {
      try {
        last = readAuthorization(credentialFile);
      } catch {
        // The file may be in the middle of a change.
      }
      return last;
    },
  };
}

/** Basic authentication; without the line end and the byte order mark that an editor leaves. */
function readAuthorization(path: string): string {
  const credential = readFileSync(path, 'utf8')
    .replace(/^\ufeff/, '')
    .trim();
  return `Basic ${Buffer.from(credential).toString('base64')}`;
}
