import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { Database } from './database.ts';

/** How a database stands to the schema of this version. */
export interface MigrationState {
  /** Names of migrations that this version brings and the database has not run. */
  readonly pending: readonly string[];
  /** Names of migrations that the database has run and this version does not know: a newer version was here. */
  readonly unknown: readonly string[];
  /** Names of all that the database has run, in order; empty: it has no schema of ours. */
  readonly run: readonly string[];
}

/** Compares without changing anything. @throws TokenStoreError */
export async function readMigrationState(connectionString: string): Promise<MigrationState> {
  const database = new Database({
    connectionString,
    applicationName: 'pushfleet-migrations',
    maxConnections: 1,
  });
  try {
    const files = await readdir(new URL('./migrations', import.meta.url));
    const known = files.filter((file) => file.endsWith('.ts')).map((file) => basename(file, '.ts'));
    const run = await readRun(database);
    return {
      pending: known.filter((name) => !run.has(name)).toSorted(),
      unknown: [...run].filter((name) => !known.includes(name)),
      run: [...run].toSorted(),
    };
  } finally {
    await database.close();
  }
}

async function readRun(database: Database): Promise<ReadonlySet<string>> {
  const { rows: tables } = await database.query<{ exists: boolean }>(
    `select to_regclass('pushfleet_migrations') is not null as exists`,
  );
  if (tables[0]?.exists !== true) return new Set();
  const { rows } = await database.query<{ name: string }>('select name from pushfleet_migrations');
  return new Set(rows.map(({ name }) => name));
}
