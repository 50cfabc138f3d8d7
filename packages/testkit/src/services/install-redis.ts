import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** Where an installed Redis is found besides the PATH. */
export const installedProgramFolder = join(repository, '.pushfleet', 'bin');

/**
 * The program inside Debian's package `redis-tools`: one executable that is the server when it is called
 * `redis-server`. The package `redis-server` adds that name, and a service that starts with the machine, which
 * nobody asked for.
 */
const debianProgram = '/usr/bin/redis-check-rdb';

/** How long apt-get may take, milliseconds. */
const aptTimeoutMs = 5 * 60_000;

/** Whether Debian's or Ubuntu's package can be installed: by root, with apt-get. */
export async function canInstallRedis(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^(ID|ID_LIKE)=.*(debian|ubuntu)/m.test(release)) return false;
  return access('/usr/bin/apt-get', constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Installs Debian's `redis-tools` and links its program as `redis-server` under `.pushfleet/bin`. Starts nothing.
 * @throws Error with what apt-get said.
 */
export async function installRedis(): Promise<string> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = async (...args: string[]): Promise<unknown> =>
    run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], { env, timeout: aptTimeoutMs });
  // Lists that are old or incomplete may still do.
  await apt('update').catch(() => undefined);
  await apt('install', '--yes', '--no-install-recommends', 'redis-tools');
  const link = join(installedProgramFolder, 'redis-server');
  await mkdir(dirname(link), { recursive: true });
  await symlink(debianProgram, link).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
  });
  const { stdout } = await run(link, ['--version']);
  if (!/server/i.test(stdout)) throw new Error(`${debianProgram} is not a Redis server: ${stdout}`);
  return link;
}
