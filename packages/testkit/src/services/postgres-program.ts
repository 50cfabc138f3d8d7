import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SupervisedProcess } from '../processes/supervised-process.ts';
import { startOnFreePort } from './free-port.ts';
import { findServerAccount, openToAccount, type PostgresBinaries } from './postgres-binaries.ts';
import { createPrivateFolder } from './private-folder.ts';
import {
  type RestartableServer,
  serverStartTimeoutMs,
  serverStopTimeoutMs,
  waitUntilReady,
} from './restartable-server.ts';

const run = promisify(execFile);

export interface PostgresProgramOptions {
  /** More settings, such as `{ max_connections: '20' }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Takes connections over TLS too, with this certificate. */
  readonly tls?: { readonly certificatePem: string; readonly privateKeyPem: string } | undefined;
}

const defaultSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  // Data that die with the run need no disk. A killed server loses nothing all the same: what it wrote is the
  // kernel's, and only a crash of the machine would lose that.
  fsync: 'off',
  full_page_writes: 'off',
  // Shared memory in files of the data folder: a killed server then leaves nothing in /dev/shm.
  dynamic_shared_memory_type: 'mmap',
  logging_collector: 'off',
  log_destination: 'stderr',
} as const;

/** Starts a PostgreSQL of our own on a free port of 127.0.0.1, in a temporary folder of its own. */
export async function openPostgresProgram(
  found: PostgresBinaries,
  options: PostgresProgramOptions = {},
): Promise<RestartableServer> {
  const account = await findServerAccount();
  const folder = await createPrivateFolder('postgres', account);
  const dataFolder = join(folder.path, 'data');
  const password = randomBytes(18).toString('base64url');
  // LC_ALL keeps the ready line English.
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };

  /** Writes a file that the server's account alone can read; gives its path. */
  const writePrivately = async (name: string, text: string): Promise<string> => {
    const path = join(folder.path, name);
    await writeFile(path, text, { mode: 0o600 });
    if (account !== undefined) await chown(path, account.uid, account.gid);
    return path;
  };

  const initialise = async (binaries: PostgresBinaries): Promise<void> => {
    const passwordFile = await writePrivately('password', `${password}\n`);
    const args = [
      `--pgdata=${dataFolder}`,
      '--username=pushfleet',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
    ];
    await run(binaries.initdb, args, { env, cwd: folder.path, timeout: serverStartTimeoutMs, ...account });
    await rm(passwordFile);
  };

  const start = async (binaries: PostgresBinaries, port: number): Promise<SupervisedProcess> => {
    const settings = { ...defaultSettings, ...options.settings, ...tlsSettings, port: String(port) };
    const server = await SupervisedProcess.spawn({
      name: binaries.postgres,
      command: binaries.postgres,
      args: [
        '-D',
        dataFolder,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      env,
      cwd: folder.path,
      account,
      // Fast shutdown: sessions are ended rather than waited for.
      stopSignal: 'SIGINT',
      stopTimeoutMs: serverStopTimeoutMs,
      guard: folder.guard,
      guardSignal: 'INT',
    });
    return waitUntilReady(server, 'database system is ready to accept connections');
  };

  let tlsSettings: Readonly<Record<string, string>> = {};
  let binaries: PostgresBinaries;
  let running: { port: number; server: SupervisedProcess };
  try {
    binaries = await openToAccount(found, account, folder.path);
    await initialise(binaries);
    if (options.tls !== undefined) {
      tlsSettings = {
        ssl: 'on',
        ssl_cert_file: await writePrivately('server.pem', options.tls.certificatePem),
        ssl_key_file: await writePrivately('server-key.pem', options.tls.privateKeyPem),
      };
    }
    running = await startOnFreePort((port) => start(binaries, port));
  } catch (cause) {
    await folder.remove();
    throw cause;
  }
  const { port } = running;
  let { server } = running;
  return {
    url: `postgres://pushfleet:${password}@127.0.0.1:${port}/postgres`,
    description: `PostgreSQL from ${found.origin}, started privately on port ${port}${
      account === undefined ? '' : ` as ${account.name}`
    }`,
    async kill() {
      await server.kill();
      await removeSharedMemory(dataFolder);
    },
    async restart() {
      await server.stop();
      server = await start(binaries, port);
    },
    async stop() {
      await server.stop();
      await folder.remove();
    },
  };
}

/**
 * A killed server leaves its lock, a few bytes of System V shared memory, to the next start on the same data.
 * There may be none. The segment's number is the second on line 7 of `postmaster.pid`.
 */
async function removeSharedMemory(dataFolder: string): Promise<void> {
  const lines = (await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const segment = lines[6]?.trim().split(/\s+/)[1];
  if (segment !== undefined) await run('ipcrm', ['-m', segment]).catch(() => undefined);
}
