import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SupervisedProcess } from '../processes/supervised-process.ts';
import { findProgram } from './find-program.ts';
import { startOnFreePort } from './free-port.ts';
import { createPrivateFolder } from './private-folder.ts';
import { type RestartableServer, serverStopTimeoutMs, waitUntilReady } from './restartable-server.ts';

export interface RedisProgramOptions {
  /** Keeps an append-only file, so that the data survive `kill` and `restart`. Off by default. */
  readonly aof?: boolean | undefined;
  /** More lines for its configuration file, such as `cluster-enabled yes`. */
  readonly configuration?: readonly string[] | undefined;
}

/** Where the set-up of `npm test` puts a Redis that it has unpacked. */
const unpackedProgramFolder = fileURLToPath(new URL('../../../../.pushfleet/bin', import.meta.url));

/** `redis-server` or `valkey-server` on the PATH, or the one that the set-up has unpacked. */
export async function findRedisProgram(searchPath = process.env.PATH ?? ''): Promise<string | undefined> {
  return findProgram(['redis-server', 'valkey-server'], `${searchPath}${delimiter}${unpackedProgramFolder}`);
}

/** Starts a Redis of our own on a free port of 127.0.0.1, in a temporary folder of its own. */
export async function openRedisProgram(
  program: string,
  options: RedisProgramOptions = {},
): Promise<RestartableServer> {
  const folder = await createPrivateFolder('redis');
  // Without a password, any account of this machine could use the server to act as ours.
  const password = randomBytes(18).toString('base64url');
  const configurationFile = join(folder.path, 'redis.conf');

  const start = async (port: number): Promise<SupervisedProcess> => {
    const lines = [
      'bind 127.0.0.1',
      `port ${port}`,
      `dir "${folder.path}"`,
      `requirepass ${password}`,
      'daemonize no',
      'save ""',
      `appendonly ${options.aof === true ? 'yes' : 'no'}`,
      // With `everysec` a write waits for up to two seconds while a disk is slow, and `kill` takes it away.
      'appendfsync always',
      // Queues must never lose a key to eviction.
      'maxmemory-policy noeviction',
      ...(options.configuration ?? []),
    ];
    await writeFile(configurationFile, `${lines.join('\n')}\n`, { mode: 0o600 });
    const server = await SupervisedProcess.spawn({
      name: program,
      command: program,
      args: [configurationFile],
      cwd: folder.path,
      stopTimeoutMs: serverStopTimeoutMs,
      guard: folder.guard,
    });
    return waitUntilReady(server, 'eady to accept connections');
  };

  let running: { port: number; server: SupervisedProcess };
  try {
    running = await startOnFreePort(start);
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
  const { port } = running;
  let { server } = running;
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    description: `${program}, started privately on port ${port}`,
    async kill() {
      await server.kill();
    },
    async restart() {
      await server.stop();
      server = await start(port);
    },
    async stop() {
      await server.stop();
      await folder.remove();
    },
  };
}
