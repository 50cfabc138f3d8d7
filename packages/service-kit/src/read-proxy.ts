import { readFileSync } from 'node:fs';
import type { FleetApp } from './fleet-app.ts';

/** A proxy with the value of its `proxy-authorization`. @throws where the file with its credential cannot be read */
export function readProxy({ host, port, credentialFile }: NonNullable<FleetApp['proxy']>): {
  readonly host: string;
  readonly port: number;
  readonly authorization?: string;
} {
  if (credentialFile === undefined) return { host, port };
  const credential = readFileSync(credentialFile, 'utf8').trim();
  return { host, port, authorization: `Basic ${Buffer.from(credential).toString('base64')}` };
}
