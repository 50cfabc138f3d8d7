import { readSecret } from '@pushfleet/service-kit';
import {
  type ApiKey,
  type ApiKeyScope,
  apiKeyScopes,
  openTokenStore,
  type TokenStore,
} from '@pushfleet/token-store';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from '../cli-error.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

const keysHelp = `
Reads DATABASE_URL (or DATABASE_URL_FILE). Producers ask for keys when PUSHFLEET_AUTH is "keys"; what is created or
revoked here they know within seconds.`;

/** `pushfleet keys create`, `list`, `revoke`: who may use the HTTP API. */
export function addKeysCommands(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('make, list and revoke keys of the HTTP API');
  addCreate(keys, terminal);
  addList(keys, terminal);
  addRevoke(keys, terminal);
}

interface CreateOptions {
  readonly app?: readonly string[];
  readonly scope: readonly ApiKeyScope[];
  readonly rate?: number;
}

function addCreate(keys: Command, terminal: Terminal): void {
  keys
    .command('create')
    .description('make a key, and print it this once')
    .argument('<name>', 'for people, such as the service that will use it')
    .addOption(
      new Option('--scope <scope...>', 'what it is good for; admin is everything')
        .choices(apiKeyScopes)
        .makeOptionMandatory(),
    )
    .option('--app <app...>', 'only these apps (default: all)')
    .option('--rate <number>', 'requests a second at each producer', parseRate)
    .addHelpText(
      'after',
      `${keysHelp}
Only a hash is kept: the key cannot be shown again.

Example:
  pushfleet keys create order-service --scope send read --app shop-prod --rate 200`,
    )
    .action(async (name: string, { app, scope, rate }: CreateOptions) => {
      await withStore(terminal, async ({ apiKeys }) => {
        const { key, text } = await apiKeys.create({
          name,
          apps: app ?? null,
          scopes: scope,
          ...(rate === undefined ? {} : { ratePerSecond: rate }),
        });
        terminal.note('It is shown this once:');
        terminal.print({ key: text, ...describe(key) }, () => text);
      });
    });
}

function addList(keys: Command, terminal: Terminal): void {
  keys
    .command('list')
    .description('show the keys, the newest first')
    .addHelpText('after', keysHelp)
    .action(async () => {
      await withStore(terminal, async ({ apiKeys }) => {
        const all = (await apiKeys.list()).map(describe);
        terminal.print({ keys: all }, () =>
          table(
            ['name', 'id', 'scopes', 'apps', 'rate', 'created', ''],
            all.map(({ name, id, scopes, apps, ratePerSecond, createdAt, revokedAt }) => [
              name,
              id,
              scopes.join(' '),
              apps === null ? 'all' : apps.join(' '),
              ratePerSecond === null ? '' : String(ratePerSecond),
              createdAt.slice(0, 10),
              revokedAt === null ? '' : `revoked ${revokedAt.slice(0, 10)}`,
            ]),
          ),
        );
      });
    });
}

function addRevoke(keys: Command, terminal: Terminal): void {
  keys
    .command('revoke')
    .description('take a key out of force')
    .argument('<key>', 'its name or its id')
    .addHelpText('after', keysHelp)
    .action(async (key: string) => {
      await withStore(terminal, async ({ apiKeys }) => {
        if (!(await apiKeys.revoke(key))) {
          throw new CliError('key-unknown', `No key of the name or id ${key} is in force`);
        }
        terminal.print({ revoked: key }, () => `${key} is revoked`);
      });
    });
}

function describe({ id, name, apps, scopes, ratePerSecond, createdAt, revokedAt }: ApiKey) {
  return {
    ...{ id, name, apps, scopes, ratePerSecond },
    createdAt: createdAt.toISOString(),
    revokedAt: revokedAt?.toISOString() ?? null,
  };
}

async function withStore(terminal: Terminal, work: (store: TokenStore) => Promise<void>): Promise<void> {
  const url = await readSecret(terminal.env, 'DATABASE_URL');
  if (typeof url !== 'string') throw new CliError('usage', `${url.field} ${url.message}`);
  const store = openTokenStore({ connectionString: url, applicationName: 'pushfleet-cli' });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

function parseRate(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of requests a second.');
}
