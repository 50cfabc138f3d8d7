import { createClient, type PushfleetClient } from '@pushfleet/client';
import { readSecret } from '@pushfleet/service-kit';
import { CliError } from '../cli-error.ts';
import type { Terminal } from '../terminal.ts';

/** In the help of every command that goes through the producer. */
export const apiHelp = `
Goes through the HTTP API: PUSHFLEET_URL says where it is (http://127.0.0.1:8080), PUSHFLEET_KEY (or PUSHFLEET_KEY_FILE)
holds a key, where the API asks for one.`;

/** @throws CliError `usage` */
export async function openClient(terminal: Terminal): Promise<PushfleetClient> {
  const { env } = terminal;
  const baseUrl = env.PUSHFLEET_URL || 'http://127.0.0.1:8080';
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl)) {
    throw new CliError(
      'usage',
      `PUSHFLEET_URL must be a URL that begins with http:// or https://, not ${baseUrl}`,
    );
  }
  const isKeyed = Boolean(env.PUSHFLEET_KEY || env.PUSHFLEET_KEY_FILE);
  const key = isKeyed ? await readSecret(env, 'PUSHFLEET_KEY') : undefined;
  if (typeof key === 'object') throw new CliError('usage', `${key.field} ${key.message}`);
  return createClient({ baseUrl, timeoutMs: 30_000, ...(key === undefined ? {} : { key }) });
}
