import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBuildInfo, readEnvironment } from '@pushfleet/service-kit';
import { backUpDatabase, type DatabaseBackup, restoreDatabase } from '@pushfleet/token-store';
import type { Command } from 'commander';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { openRedis, primariesOf } from '../fleet/open-redis.ts';
import { readDatabaseUrl } from '../migrate-command.ts';
import type { Terminal } from '../terminal.ts';
import { saveSnapshot } from './redis-snapshot.ts';

const manifestSchema = z.object({
  format: z.literal(1),
  at: z.string(),
  version: z.string(),
  database: z.object({
    migrations: z.array(z.string()),
    tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()), rows: z.number() })),
  }),
  redis: z.array(z.object({ file: z.string(), node: z.string(), bytes: z.number() })),
});
type Manifest = z.infer<typeof manifestSchema>;

/** `pushfleet backup`, `pushfleet restore` */
export function addBackupCommands(program: Command, terminal: Terminal): void {
  program
    .command('backup')
    .description('copy Postgres and Redis, of one moment, into a new folder; while everything runs')
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
      const rows = manifest.database.tables.reduce((sum, table) => sum + table.rows, 0);
      terminal.print({ folder, ...manifest }, () =>
        [
          `${folder} holds ${rows.toLocaleString('en')} rows of ${manifest.database.tables.length} tables`,
          ...manifest.redis.map(
            ({ node, bytes }) => `and ${bytes.toLocaleString('en')} bytes of Redis at ${node}`,
          ),
          'Keep it as you keep secrets: it holds device tokens and payloads.',
        ].join('\n'),
      );
    });

  program
    .command('restore')
    .description('fill an empty Postgres from a backup, and say how Redis gets its part')
    .argument('<folder>', 'as backup made it')
    .addHelpText(
      'after',
      `
Reads DATABASE_URL (or DATABASE_URL_FILE), of the owner of an empty database. Stop producers, workers and sweepers before, and
start them when Redis has its part too. Only the version that made a backup restores it.`,
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

async function backUp(terminal: Terminal, folder: string, withRedis: boolean): Promise<Manifest> {
  const databaseUrl = await readDatabaseUrl(terminal.env);
  const { config, problems } = await readEnvironment(terminal.env, { service: 'producer' });
  if (withRedis && config === undefined) {
    throw new CliError('usage', problems.map(({ field, message }) => `${field} ${message}`).join('; '));
  }
  await makeFolder(folder);
  const redis: Manifest['redis'] = [];
  const client = withRedis ? await openRedis(config!.redisUrl) : undefined;
  try {
    let snapshots: Promise<unknown> = Promise.resolve();
    const database: DatabaseBackup = await backUpDatabase(databaseUrl, join(folder, 'postgres'), async () => {
      if (client === undefined) return;
      const nodes = primariesOf(client);
      const begun = nodes.map(() => Promise.withResolvers<void>());
      snapshots = Promise.all(
        nodes.map(async (node, index) => {
          const { host, port } = node.options;
          const file = nodes.length === 1 ? 'redis.rdb' : `redis-${index}.rdb`;
          const bytes = await saveSnapshot(node, join(folder, file), begun[index]!.resolve);
          redis.push({ file, node: `${host}:${port}`, bytes });
        }),
      );
      // What goes wrong before it has begun is told here, and later below.
      snapshots.catch(() => undefined);
      await Promise.race([Promise.all(begun.map(({ promise }) => promise)), snapshots]);
    });
    await snapshots;
    const manifest: Manifest = {
      format: 1,
      at: new Date().toISOString(),
      version: readBuildInfo().version,
      database: {
        migrations: [...database.migrations],
        tables: database.tables.map(({ name, columns, rows }) => ({ name, columns: [...columns], rows })),
      },
      redis: redis.toSorted((one, other) => one.file.localeCompare(other.file)),
    };
    // Last: a folder without it is no backup.
    await writeFile(join(folder, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`, {
      mode: 0o600,
    });
    return manifest;
  } finally {
    client?.disconnect();
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new CliError('file-exists', `${folder} is there already: name another folder`);
    throw new CliError('file-not-written', `${folder} cannot be made: ${code}`, { cause });
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'manifest.json');
  try {
    const manifest = manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    for (const { file, bytes } of manifest.redis) {
      const { size } = await stat(join(folder, file));
      if (size !== bytes) throw new Error(`${file} has ${size} bytes, and had ${bytes}`);
    }
    return manifest;
  } catch (cause) {
    throw new CliError('file-unreadable', `${folder} is no whole backup: ${(cause as Error).message}`, {
      cause,
    });
  }
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
    'Then start the services, and compare: select * from accounting; pushfleet doctor',
  ];
}
