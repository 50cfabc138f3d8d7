import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { containerEngineAnswers, openContainerServer } from './container-server.ts';
import { findRedisProgram, openRedisProgram } from './redis-program.ts';
import type { RestartableServer } from './restartable-server.ts';
import { type DecisionOptions, provideService, type ServiceKind } from './service-source.ts';

/** The image of the containers, and of docker-compose.yml. */
export const redisImage = 'redis:8-bookworm';

export interface RedisService extends RestartableServer {
  readonly kind: ServiceKind;
  /** Keys of this service begin with it, `PUSHFLEET_REDIS_PREFIX` for the parts under test. */
  readonly prefix: string;
}

export interface ProvideRedisOptions extends DecisionOptions {
  /** Keeps an append-only file, so that the data survive `kill` and `restart`. Off by default. */
  readonly aof?: boolean | undefined;
}

const advice =
  'Either set REDIS_URL, or put redis-server or valkey-server on the PATH, or start a Docker engine that has or ' +
  'can get the image redis:8-bookworm.';

/**
 * A Redis for tests: the one that `REDIS_URL` names, in a container, or started from the PATH.
 * @throws NoServiceError when there is no way to get one.
 */
export async function provideRedis(options: ProvideRedisOptions = {}): Promise<RedisService> {
  const prefix = `pushfleet-test-${randomBytes(6).toString('hex')}`;
  const aof = options.aof === true;
  const say = options.say ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const { kind, server } = await provideService<RestartableServer>(
    {
      name: 'Redis',
      given: { variable: 'REDIS_URL', url: (options.env ?? process.env).REDIS_URL || undefined },
      useGiven: async (url) => useGivenRedis(url, prefix),
      openContainer: async () => ((await containerEngineAnswers()) ? openRedisContainer(aof) : undefined),
      openProgram: async () => {
        const program = await findRedisProgram((options.env ?? process.env).PATH);
        return program === undefined ? undefined : openRedisProgram(program, { aof });
      },
      install: async () => {
        const program = await installRedis(say);
        return program === undefined ? undefined : openRedisProgram(program, { aof });
      },
      advice,
    },
    options,
  );
  return { ...server, kind, prefix };
}

async function openRedisContainer(aof: boolean): Promise<RestartableServer> {
  const password = randomBytes(18).toString('base64url');
  return openContainerServer({
    image: redisImage,
    port: 6379,
    command: [
      'redis-server',
      ...['--requirepass', password],
      ...['--save', ''],
      ...['--appendonly', aof ? 'yes' : 'no'],
      ...['--appendfsync', 'always'],
      ...['--maxmemory-policy', 'noeviction'],
    ],
    toUrl: (host, port) => `redis://:${password}@${host}:${port}`,
    probe: async (url) => askRedis(url, async (client) => void (await client.ping())),
  });
}

/** A server that others use too: our keys go when we do, and it is not ours to kill. */
async function useGivenRedis(url: string, prefix: string): Promise<RestartableServer> {
  await askRedis(url, async (client) => void (await client.ping()));
  return {
    url,
    description: `the server that REDIS_URL names, keys under ${prefix}`,
    kill: refuse,
    restart: refuse,
    async stop() {
      await askRedis(url, async (client) => {
        for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
          if ((keys as string[]).length > 0) await client.unlink(keys as string[]);
        }
      });
    },
  };
}

async function refuse(): Promise<never> {
  throw new Error(
    'A Redis given by REDIS_URL is not ours to kill: ask for one of your own with { own: true }',
  );
}

async function askRedis(url: string, ask: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    maxRetriesPerRequest: 1,
    retryStrategy: () => null,
  });
  // The failed command only says that the connection is closed.
  let trouble: Error | undefined;
  client.on('error', (error: Error) => {
    trouble ??= error;
  });
  try {
    await client.connect();
    await ask(client);
  } catch (error) {
    throw trouble ?? error;
  } finally {
    client.disconnect();
  }
}

const run = promisify(execFile);

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** How long the distribution's package may take, milliseconds. */
const installTimeoutMs = 10 * 60_000;

/**
 * Unpacks the distribution's package under `.pushfleet`, as the set-up of `npm test` does. Starts nothing.
 * @returns The path of the program; undefined where the package cannot be had: `say` got the reason.
 */
async function installRedis(say: (line: string) => void): Promise<string | undefined> {
  const program = join(repository, 'scripts', 'ensure-redis.mjs');
  try {
    await run(process.execPath, [program], { timeout: installTimeoutMs });
  } catch (cause) {
    say((cause as { stderr?: string }).stderr?.trim() ?? String(cause));
    return undefined;
  }
  return findRedisProgram();
}
