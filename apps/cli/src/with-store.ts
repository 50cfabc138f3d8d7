import { readSecret } from '@pushfleet/service-kit';
import { openTokenStore, type TokenStore } from '@pushfleet/token-store';
import { CliError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

/** Opens Postgres for a command, and closes it. @throws CliError `usage`, TokenStoreError */
export async function withStore(
  terminal: Terminal,
  work: (store: TokenStore) => Promise<void>,
): Promise<void> {
  const url = await readSecret(terminal.env, 'DATABASE_URL');
  if (typeof url !== 'string') throw new CliError('usage', `${url.field} ${url.message}`);
  const store = openTokenStore({ connectionString: url, applicationName: 'pushfleet-cli' });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}
