/// <reference path="../feedback/pg-copy-streams.d.ts" />
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import pg from 'pg';
import { from, to } from 'pg-copy-streams';
import { migrate } from '../migrate.ts';
import { readMigrationState } from '../migration-state.ts';
import { asTokenStoreError, TokenStoreError } from '../token-store-error.ts';

// The data of the database as files, one per table, as Postgres' COPY writes text; the schema is that of the migrations.

/** What a backup of the database holds. */
export interface DatabaseBackup {
  /** Names of the migrations that the database had run. */
  readonly migrations: readonly string[];
  /** In an order in which they can be restored. */
  readonly tables: readonly {
    readonly name: string;
    readonly columns: readonly string[];
    readonly rows: number;
  }[];
}

const migrationsTable = 'pushfleet_migrations';

/**
 * Copies all rows, of one moment, into files of a folder. While `whileStill` runs, no outcome report is applied: what it
 * takes of Redis is of the same moment. Sends and registrations go on. Needs the owner.
 * @throws TokenStoreError, and what `whileStill` throws
 */
export async function backUpDatabase(
  connectionString: string,
  folder: string,
  whileStill: () => Promise<void> = async () => undefined,
): Promise<DatabaseBackup> {
  const holder = createClient(connectionString);
  const reader = createClient(connectionString);
  try {
    await Promise.all([holder.connect(), reader.connect()]);
    await holder.query('begin');
    // Waits for those that are applying, and keeps others from it. Sweepers try again.
    await holder.query('lock table batch_jobs, app_totals in share mode');
    await reader.query('begin isolation level repeatable read read only');
    // The snapshot is that of the first statement.
    const tables = await readTables(reader);
    await whileStill();
    await holder.query('rollback');
    await mkdir(folder, { recursive: true });
    const copied = [];
    for (const { name, columns } of tables) {
      const output = createWriteStream(fileOf(folder, name), { flags: 'wx', mode: 0o600 });
      const copy = reader.query(to(`copy ${quoted(name)} (${columns.map(quoted).join(', ')}) to stdout`));
      await pipeline(copy, createGzip({ level: 4 }), output);
      copied.push({ name, columns, rows: copy.rowCount });
    }
    const { rows } = await reader.query<{ name: string }>(`select name from ${migrationsTable} order by id`);
    return { migrations: rows.map(({ name }) => name), tables: copied };
  } catch (error) {
    throw error instanceof pg.DatabaseError ? asTokenStoreError(error) : error;
  } finally {
    await Promise.all([holder, reader].map((client) => client.end().catch(() => undefined)));
  }
}

/**
 * Brings an empty database to the schema of the backup, and fills it, in one transaction. Needs the owner.
 * What an older version saved is migrated afterwards.
 * @throws TokenStoreError `schema-outdated` when the backup is of a newer version, `query-failed` when there is data
 */
export async function restoreDatabase(
  connectionString: string,
  folder: string,
  { migrations, tables }: DatabaseBackup,
): Promise<void> {
  await migrateTo(connectionString, migrations);
  const client = createClient(connectionString);
  try {
    await client.connect();
    await client.query('begin');
    for (const { name } of tables) {
      const { rows } = await client.query(`select 1 from ${quoted(name)} limit 1`);
      if (rows.length > 0) {
        throw new TokenStoreError(
          'query-failed',
          `The database is not empty: ${name} has rows. Name an empty one.`,
        );
      }
    }
    for (const { name, columns, rows } of tables) {
      const copy = client.query(from(`copy ${quoted(name)} (${columns.map(quoted).join(', ')}) from stdin`));
      await pipeline(createReadStream(fileOf(folder, name)), createGunzip(), copy);
      const restored = copy.rowCount;
      if (restored !== rows) {
        throw new TokenStoreError(
          'query-failed',
          `${name} has ${restored} rows in the backup's file, and had ${rows}`,
        );
      }
    }
    await setSequences(client);
    await client.query('commit');
    await client.query('analyze');
  } catch (error) {
    throw error instanceof pg.DatabaseError ? asTokenStoreError(error) : error;
  } finally {
    await client.end().catch(() => undefined);
  }
  // What an older version has saved becomes of this version, as a database of it would.
  await migrate(connectionString);
}

/** Brings an empty database to the schema that these migrations made. @throws TokenStoreError `schema-outdated` */
async function migrateTo(connectionString: string, migrations: readonly string[]): Promise<void> {
  const { pending, run, unknown } = await readMigrationState(connectionString);
  const missing = migrations.filter((name) => !run.includes(name)).toSorted();
  const isKnown = missing.every((name, index) => name === pending[index]);
  const isBefore = run.every((name) => migrations.includes(name));
  if (!isKnown || unknown.length > 0) {
    throw new TokenStoreError(
      'schema-outdated',
      `The backup is of another version: its last migration is ${migrations.at(-1)}. Restore it with the version that made it, then upgrade.`,
    );
  }
  if (!isBefore) {
    throw new TokenStoreError(
      'schema-outdated',
      'The database has a newer schema than the backup: name an empty one, without tables.',
    );
  }
  if (missing.length > 0) await migrate(connectionString, { count: missing.length });
}

/** Tables with what they refer to before them, and their columns. */
async function readTables(client: pg.Client): Promise<{ name: string; columns: string[] }[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; needs: string[] }>(
    `select c.relname::text as name,
       (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
       array(select r.confrelid::regclass::text from pg_constraint r
        where r.conrelid = c.oid and r.contype = 'f' and r.confrelid <> c.oid) as needs
     from pg_class c where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and c.relname <> $1
     order by c.relname`,
    [migrationsTable],
  );
  const sorted: { name: string; columns: string[] }[] = [];
  const visit = (name: string): void => {
    const table = rows.find((row) => row.name === name);
    if (table === undefined || sorted.some((known) => known.name === name)) return;
    for (const need of table.needs) visit(need);
    sorted.push({ name, columns: table.columns });
  };
  for (const { name } of rows) visit(name);
  return sorted;
}

/** Identity columns go on after the largest number that was restored. */
async function setSequences(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ table: string; column: string }>(
    `select table_name as table, column_name as column from information_schema.columns
     where table_schema = current_schema() and is_identity = 'YES' and table_name <> $1`,
    [migrationsTable],
  );
  for (const { table, column } of rows) {
    await client.query(
      `select setval(pg_get_serial_sequence($1, $2), max(${quoted(column)})) from ${quoted(table)} having max(${quoted(column)}) > 0`,
      [quoted(table), column],
    );
  }
}

function createClient(connectionString: string): pg.Client {
  const client = new pg.Client({
    connectionString,
    application_name: 'pushfleet-backup',
    connectionTimeoutMillis: 10_000,
    lock_timeout: 60_000,
  });
  client.on('error', () => undefined);
  return client;
}

function fileOf(folder: string, table: string): string {
  return join(folder, `${table}.copy.gz`);
}

function quoted(name: string): string {
  return pg.escapeIdentifier(name);
}
