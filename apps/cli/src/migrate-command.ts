import { readSecret } from '@pushfleet/service-kit';
import { migrate } from '@pushfleet/token-store';
import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

export function addMigrateCommand(program: Command, terminal: Terminal): void {
  program
    .command('migrate')
    .description('bring the schema of Postgres up to date')
    .addHelpText(
      'after',
      `
Reads DATABASE_URL (or DATABASE_URL_FILE). Of several that migrate at once, one does and the others wait for it; where
nothing is pending, nothing is changed. Producer and sweeper do the same at their start: the command is for releases
that want it done before.`,
    )
    .action(async () => {
      const url = await readSecret(terminal.env, 'DATABASE_URL');
      if (typeof url !== 'string') throw new CliError('usage', `${url.field} ${url.message}`);
      const migrations = await migrate(url, { log: (line) => terminal.note(line) });
      terminal.print({ migrations }, () =>
        migrations.length === 0 ? 'The schema is up to date' : `Ran ${migrations.join(', ')}`,
      );
    });
}
