import { readFile } from 'node:fs/promises';
import { connectionVariables, readSecretVariable } from '@pushfleet/service-kit';
import { type DatabaseRole, databaseRoles, grantRoles, migrate } from '@pushfleet/token-store';
import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

interface MigrateOptions {
  readonly grant?: true;
  readonly producerPasswordFile?: string;
  readonly sweeperPasswordFile?: string;
}

export function addMigrateCommand(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description('bring the schema of Postgres up to date')
    .option(
      '--grant',
      'also make the roles of the services, and grant them what they need (docs/database.md)',
    )
    .option('--producer-password-file <file>', 'holds the password of the role pushfleet_producer')
    .option('--sweeper-password-file <file>', 'holds the password of the role pushfleet_sweeper')
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
      const url = await readDatabaseUrl(terminal.env);
      const passwords = options.grant === true ? await readPasswords(options) : undefined;
      const migrations = await migrate(url, { log: (line) => terminal.note(line) });
      if (passwords !== undefined) await grantRoles(url, passwords);
      const granted = passwords === undefined ? [] : databaseRoles.map((role) => `pushfleet_${role}`);
      terminal.print({ migrations, granted }, () =>
        [
          migrations.length === 0 ? 'The schema is up to date' : `Ran ${migrations.join(', ')}`,
          ...(granted.length === 0 ? [] : [`Granted their rights to ${granted.join(' and ')}`]),
        ].join('\n'),
      );
    });
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
