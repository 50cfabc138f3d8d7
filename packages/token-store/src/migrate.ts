import { fileURLToPath, pathToFileURL } from 'node:url';
import { type MigrationBuilder, runner } from 'node-pg-migrate';
import pg from 'pg';
import { readMigrationState } from './migration-state.ts';
import { asTokenStoreError, TokenStoreError } from './token-store-error.ts';

export interface MigrateOptions {
  /** Told of each migration that is run, for logs. */
  readonly log?: (line: string) => void;
  /** How many of the pending ones to run; all by default. */
  readonly count?: number;
  /** How long to wait for another process that migrates, milliseconds; 10 minutes by default. */
  readonly waitTimeoutMs?: number;
}

interface MigrationActions {
  readonly up: (pgm: MigrationBuilder) => void | Promise<void>;
  readonly down: false;
}

/**
 * Brings the schema up to date: forward only, all pending migrations in one transaction, under an advisory lock. Of
 * processes that start at once, one migrates and the others wait for it. Where nothing is pending it needs no right
 * to change the schema. Returns the names of what was run.
 * @throws TokenStoreError
 */
export async function migrate(connectionString: string, options: MigrateOptions = {}): Promise<string[]> {
  // The library wants to own its table even when it has nothing to do.
  if ((await readMigrationState(connectionString)).pending.length === 0) return [];
  const client = new pg.Client({
    connectionString,
    application_name: 'pushfleet-migrate',
    connectionTimeoutMillis: 10_000,
    // A migration of a table with traffic sets a short lock_timeout of its own.
    lock_timeout: options.waitTimeoutMs ?? 600_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  client.on('error', () => undefined);
  let lastError = '';
  try {
    await client.connect();
    const run = await runner({
      dbClient: client,
      dir: fileURLToPath(new URL('./migrations', import.meta.url)),
      migrationsTable: 'pushfleet_migrations',
      direction: 'up',
      singleTransaction: true,
      advisoryLockMode: 'wait',
      // An older version that starts beside a newer one meets migrations it does not know.
      checkOrder: false,
      ...(options.count === undefined ? {} : { count: options.count }),
      migrationLoaderStrategies: [{ extensions: ['.ts'], loader: loadMigrations }],
      logger: {
        info: (line) => options.log?.(line),
        warn: (line) => options.log?.(line),
        error: (line) => {
          lastError = line;
        },
      },
    });
    return run.map(({ name }) => name);
  } catch (error) {
    const known = asTokenStoreError(error);
    const reason = error instanceof Error ? error.message : String(error);
    const where = lastError.includes(reason) || lastError === '' ? '' : ` (${lastError.trim()})`;
    const code = known.isTransient ? known.code : 'migration-failed';
    throw new TokenStoreError(code, `The database cannot be migrated: ${reason}${where}`, { cause: error });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Node runs TypeScript as it is; the library's own loader would bring a compiler. */
async function loadMigrations(filePaths: string[]) {
  return Promise.all(
    filePaths.map(async (path) => ({
      id: path,
      filePaths: [path],
      actions: (await import(pathToFileURL(path).href)) as MigrationActions,
    })),
  );
}
