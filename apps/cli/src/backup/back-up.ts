import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readBuildInfo, readEnvironment } from '@pushfleet/service-kit';
import { backUpDatabase, type DatabaseBackup } from '@pushfleet/token-store';
import { z } from 'zod';
import { CliError } from '../cli-error.ts';
import { openRedis, primariesOf } from '../fleet/open-redis.ts';
import { readDatabaseUrl } from '../migrate-command.ts';
import type { Terminal } from '../terminal.ts';
import { addressOf, saveSnapshot } from './redis-snapshot.ts';

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
/** What a backup is, and holds: `manifest.json`. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Copies Postgres and Redis of one moment into a new folder. @throws CliError, TokenStoreError */
export async function backUp(terminal: Terminal, folder: string, withRedis: boolean): Promise<Manifest> {
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
          const { host, port } = addressOf(node);
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

/** @throws CliError `file-unreadable`: the folder is no whole backup. */
export async function readManifest(folder: string): Promise<Manifest> {
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
