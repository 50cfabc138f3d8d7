import { readFile } from 'node:fs/promises';
import { connectionVariables, readSecretVariable } from '@pushfleet/service-kit';
import { type DatabaseRole, databaseRoles, grantRoles, migrate } from '@pushfleet/token-store';
import { type Command, Option } from 'commander';
import { CliError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

export interface MigrateOptions {
  readonly grant?: true;
  readonly producerPasswordFile?: string;
  readonly sweeperPasswordFile?: string;
}

export function addMigrateCommand(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description('migrate the schema of Postgres to this version')
    .addOption(grantOption())
    .addOption(passwordOption('producer'))
    .addOption(passwordOption('sweeper'))
    .addHelpText(
      'after',
      `
Reads DATABASE_URL (or DATABASE_URL_FILE). Of several that migrate at once, one does and the others wait for it; where
nothing is pending, nothing is changed. Producer and sweeper do the same at their start: the command is for releases
that want it done before, and where the services have roles of their own, which may not change the schema.

Example:
  pushfleet migrate --grant --producer-password-file producer.txt --sweeper-password-file sweeper.txt`,
    )
    .action(async (options: MigrateOptions) => {
      const { migrations, granted } = await migrateAndGrant(terminal, options);
      terminal.print({ migrations, granted }, () =>
        [
          migrations.length === 0 ? 'The schema is up to date' : `Ran ${migrations.join(', ')}`,
          ...(granted.length === 0 ? [] : [`Granted their rights to ${granted.join(' and ')}`]),
        ].join('\n'),
      );
    });
}

export function grantOption(): Option {
  return new Option(
    '--grant',
    'also make the roles of the services, and grant them what they need (docs/database.md)',
  );
}

export function passwordOption(role: DatabaseRole): Option {
  return new Option(`--${role}-password-file <file>`, `holds the password of the role pushfleet_${role}`);
}

/**
 * Runs what is pending, and grants where that is asked for. What is wrong with the options is told before anything is run.
 * @returns Names of the migrations that were run, and of the roles.
 * @throws CliError, TokenStoreError
 */
export async function migrateAndGrant(
  terminal: Terminal,
  options: MigrateOptions,
): Promise<{ readonly migrations: readonly string[]; readonly granted: readonly string[] }> {
  const url = await readDatabaseUrl(terminal.env);
  const passwords = options.grant === true ? await readPasswords(options) : undefined;
  const migrations = await migrate(url, { log: (line) => terminal.note(line) });
  if (passwords !== undefined) await grantRoles(url, passwords);
  const granted = passwords === undefined ? [] : databaseRoles.map((role) => `pushfleet_${role}`);
  return { migrations, granted };
}

/** @throws CliError `usage` */
export async function readDatabaseUrl(env: NodeJS.ProcessEnv): Promise<string> {
  const url = await readSecretVariable(env, 'DATABASE_URL', connectionVariables.DATABASE_URL);
  if (typeof url === 'string') return url;
  throw new CliError('usage', `DATABASE_URL ${url?.message ?? 'is missing'}`);
}

async function readPasswords(options: MigrateOptions): Promise<Record<DatabaseRole, string>> {
  const read = async (role: DatabaseRole, path: string | undefined) => {
    const option = `--${role}-password-file`;
    if (path === undefined) throw new CliError('usage', `--grant needs ${option}`);
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new CliError('file-unreadable', `${option} ${path} cannot be read: ${cause.code}`, { cause });
    });
    if (text.trim() === '') throw new CliError('usage', `${option} ${path} is empty`);
    return text.trim();
  };
  return {
    producer: await read('producer', options.producerPasswordFile),
    sweeper: await read('sweeper', options.sweeperPasswordFile),
  };
}
