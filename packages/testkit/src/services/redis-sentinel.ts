import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { SupervisedProcess } from '../processes/supervised-process.ts';
import { startOnFreePort } from './free-port.ts';
import { createPrivateFolder } from './private-folder.ts';
import { openRedisProgram } from './redis-program.ts';
import {
  type RestartableServer,
  serverStartTimeoutMs,
  serverStopTimeoutMs,
  waitUntilReady,
} from './restartable-server.ts';

export interface WatchedRedis {
  /** As `REDIS_URL` takes it: all sentinels, and the name of what they watch over. */
  readonly url: string;
  /** Kills the first primary without warning; resolves when the sentinels point at its successor. */
  failOver(): Promise<void>;
  stop(): Promise<void>;
}

export interface WatchedRedisOptions {
  /** More lines for the configuration of all servers, such as `min-replicas-to-write 1`. */
  readonly configuration?: readonly string[];
}

interface Sentinel {
  readonly port: number;
  readonly client: Redis;
  stop(): Promise<void>;
}

const watchedName = 'fleet';
const sentinelCount = 3;
/** One that takes over, and one that follows it then. */
const replicaCount = 2;
/** How soon a primary that does not answer is held to be dead: short, since a test waits for it. */
const downAfterMs = 1_000;

/** Starts a primary, two replicas and three sentinels, all `redis-server` processes on free ports of 127.0.0.1. */
export async function openWatchedRedis(
  program: string,
  { configuration = [] }: WatchedRedisOptions = {},
): Promise<WatchedRedis> {
  const password = randomBytes(18).toString('base64url');
  const sentinelPassword = randomBytes(18).toString('base64url');
  const servers: RestartableServer[] = [];
  const sentinels: Sentinel[] = [];
  const stop = async (): Promise<void> => {
    // The sentinels first: they would take the end of the servers for a failure.
    for (const part of [...sentinels.splice(0), ...servers.splice(0)]) await part.stop();
  };
  const openServer = async (more: readonly string[]): Promise<RestartableServer> => {
    const lines = [`requirepass ${password}`, `masterauth ${password}`, 'repl-diskless-sync-delay 0'];
    const server = await openRedisProgram(program, {
      aof: true,
      configuration: [...lines, ...more, ...configuration],
    });
    servers.push(server);
    return server;
  };
  try {
    const primary = await openServer([]);
    for (let count = 0; count < replicaCount; count += 1) {
      await openServer([`replicaof 127.0.0.1 ${portOf(primary.url)}`]);
    }
    for (let count = 0; count < sentinelCount; count += 1) {
      sentinels.push(await openSentinel(program, portOf(primary.url), password, sentinelPassword));
    }
    await until('the sentinels know each other and the replicas', async () =>
      (await Promise.all(sentinels.map(seesAll))).every(Boolean),
    );
    const [first, ...others] = sentinels.map(({ port }) => `127.0.0.1:${port}`);
    return {
      url:
        `redis+sentinel://:${password}@${first}/${watchedName}` +
        `?nodes=${others.join(',')}&sentinelPassword=${sentinelPassword}`,
      async failOver() {
        await primary.kill();
        await until('a replica has taken over', async () => {
          const [port, ...same] = await Promise.all(sentinels.map(pointsAt));
          return port !== portOf(primary.url) && same.every((other) => other === port);
        });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function openSentinel(
  program: string,
  primaryPort: number,
  password: string,
  sentinelPassword: string,
): Promise<Sentinel> {
  const folder = await createPrivateFolder('sentinel');
  const configurationFile = join(folder.path, 'sentinel.conf');
  const start = async (port: number): Promise<SupervisedProcess> => {
    const lines = [
      'bind 127.0.0.1',
      `port ${port}`,
      `dir "${folder.path}"`,
      `requirepass ${sentinelPassword}`,
      `sentinel monitor ${watchedName} 127.0.0.1 ${primaryPort} 2`,
      `sentinel auth-pass ${watchedName} ${password}`,
      `sentinel down-after-milliseconds ${watchedName} ${downAfterMs}`,
      // An election that found no majority is held again after twice this.
      `sentinel failover-timeout ${watchedName} 3000`,
    ];
    await writeFile(configurationFile, `${lines.join('\n')}\n`, { mode: 0o600 });
    const server = await SupervisedProcess.spawn({
      name: `${program} --sentinel`,
      command: program,
      args: [configurationFile, '--sentinel'],
      cwd: folder.path,
      stopTimeoutMs: serverStopTimeoutMs,
      guard: folder.guard,
    });
    return waitUntilReady(server, '+monitor master');
  };
  try {
    const { port, server } = await startOnFreePort(start);
    const client = new Redis({ host: '127.0.0.1', port, password: sentinelPassword });
    client.on('error', () => undefined);
    return {
      port,
      client,
      async stop() {
        client.disconnect();
        await server.stop();
        await folder.remove();
      },
    };
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
}

async function seesAll({ client }: Sentinel): Promise<boolean> {
  const facts = (await client.call('SENTINEL', 'MASTER', watchedName)) as string[];
  const fact = (name: string): string | undefined => facts[facts.indexOf(name) + 1];
  const replicas = (await client.call('SENTINEL', 'REPLICAS', watchedName)) as string[][];
  // Before its first INFO has come a replica cannot be chosen.
  const isFollowing = (replica: string[]) => replica[replica.indexOf('master-link-status') + 1] === 'ok';
  return (
    replicas.filter(isFollowing).length === replicaCount &&
    fact('num-other-sentinels') === String(sentinelCount - 1)
  );
}

async function pointsAt({ client }: Sentinel): Promise<number> {
  const address = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', watchedName);
  return Number((address as [string, string])[1]);
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + serverStartTimeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
