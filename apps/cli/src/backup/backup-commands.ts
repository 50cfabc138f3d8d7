import { join } from 'node:path';
import { restoreDatabase } from '@pushfleet/token-store';
import type { Command } from 'commander';
import { readDatabaseUrl } from '../migrate-command.ts';
import { counted } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { backUp, type Manifest, readManifest } from './back-up.ts';

/** `pushfleet backup`, `pushfleet restore` */
export function addBackupCommands(program: Command, terminal: Terminal): void {
  program
    .command('backup')
    .description('back up Postgres and Redis, at one moment, into a new folder, while everything runs')
    .argument('<folder>', 'is made')
    .option('--no-redis', 'Postgres alone: where Redis is backed up by whoever runs it')
    .addHelpText(
      'after',
      `
Reads REDIS_URL and DATABASE_URL (or each with _FILE); in Postgres the owner is needed, in Redis the right to PSYNC. Sends go
on; outcome reports are applied again as soon as Redis has begun its snapshot. The files hold device tokens and payloads.

What a restore means: sends after the backup are not in it; what was queued at the backup and has been sent since is sent
again. docs/operations.md#upgrade-back-up-restore tells the rest.`,
    )
    .action(async (folder: string, { redis }: { redis: boolean }) => {
      const manifest = await backUp(terminal, folder, redis);
      terminal.print({ folder, ...manifest }, () => describeBackup(folder, manifest).join('\n'));
    });

  program
    .command('restore')
    .description('restore a backup into an empty Postgres, and print the steps for Redis')
    .argument('<folder>', 'as backup made it')
    .addHelpText(
      'after',
      `
Reads DATABASE_URL (or DATABASE_URL_FILE), of the owner of an empty database. Stop producers, workers and sweepers before, and
start them when Redis has its part too. What an older version backed up is migrated then.`,
    )
    .action(async (folder: string) => {
      const manifest = await readManifest(folder);
      const url = await readDatabaseUrl(terminal.env);
      await restoreDatabase(url, join(folder, 'postgres'), manifest.database);
      const rows = manifest.database.tables.reduce((sum, table) => sum + table.rows, 0);
      const steps = manifest.redis.map(({ file, node }) => ({ node, file: join(folder, file) }));
      terminal.print({ rows, redis: steps }, () =>
        [`Postgres has its ${rows.toLocaleString('en')} rows again.`, ...redisSteps(steps)].join('\n'),
      );
    });
}

/** What a backup holds, for people. */
export function describeBackup(folder: string, { database, redis }: Manifest): string[] {
  const rows = database.tables.reduce((sum, table) => sum + table.rows, 0);
  return [
    `${folder} holds ${counted(rows, 'row')} of ${counted(database.tables.length, 'table')}`,
    ...redis.map(({ node, bytes }) => `and ${counted(bytes, 'byte')} of Redis at ${node}`),
    'Keep it as you keep secrets: it holds device tokens and payloads.',
  ];
}

/** What people have to do, since a Redis takes a snapshot at its start alone. */
function redisSteps(steps: readonly { readonly node: string; readonly file: string }[]): string[] {
  if (steps.length === 0) return ['The backup holds nothing of Redis: restore that as whoever runs it says.'];
  return [
    'Redis takes its part at its start. For each of them, with an empty data folder:',
    ...steps.flatMap(({ node, file }) => [
      `  1. cp ${file} DATA/dump.rdb                        (was ${node})`,
      '  2. redis-server … --dir DATA --appendonly no         (with appendonly yes it would not read the file)',
      '  3. redis-cli config set appendonly yes               and, when `info persistence` says aof_rewrite_in_progress:0,',
      '     start it again with its usual settings',
    ]),
    ...(steps.length === 1
      ? []
      : ['A node of a cluster has to own the slots of its file: give it the nodes.conf that it had.']),
    'Then start the services, and compare: select * from accounting; pushfleet doctor',
  ];
}
