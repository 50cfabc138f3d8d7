import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { runQuietly, SetupError, step } from './steps.mjs';

// A Redis for the tests and the demo, found or fetched before anything else is installed. The distribution's package
// is unpacked under `.pushfleet/redis`, so that neither root nor a change to the system is needed.

/**
 * One executable is the server under the name `redis-server` and the check program under this one. Debian's package
 * `redis-tools` holds it; the package `redis-server` only adds the name and a service that starts with the machine.
 */
const debianProgram = 'redis-check-rdb';
const serverNames = ['redis-server', 'valkey-server'];
/** What Debian's program needs besides the C library. A release may call one differently, or do without it. */
const debianLibraries = ['liblzf1', 'libjemalloc2', 'libatomic1'];

/**
 * Makes sure that a Redis can be had, or says which command provides one.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @throws SetupError
 */
export async function ensureRedis(root, env) {
  if (env.REDIS_URL !== undefined && env.REDIS_URL !== '') return;
  if (env.PUSHFLEET_TEST_SERVICES === 'containers') return;
  if (findRedis(root, env) !== undefined) return;
  if (hasImage(env)) return;
  const manager = packageManager(env);
  const problem = manager === undefined ? undefined : await fetchRedis(root, env, manager);
  if (manager !== undefined && problem === undefined) return;
  // The engine may yet get the image; the service that needs it says so when it does not.
  if (engineAnswers(env)) return;
  const reason = problem === undefined ? '' : ` (${problem})`;
  throw new SetupError(`Redis is needed and was not found${reason}`, [
    installCommand(env),
    'or set REDIS_URL to a Redis server that may be used for this',
  ]);
}

/**
 * Returns the path of a Redis server program: on the PATH, unpacked earlier, or Debian's program under its other name.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined}
 */
export function findRedis(root, env) {
  const folder = join(root, '.pushfleet', 'bin');
  const found = onPath(serverNames, env) ?? onPath(serverNames, { PATH: folder });
  if (found !== undefined) return found;
  const other = onPath([debianProgram], env);
  if (other === undefined) return undefined;
  return link(join(folder, 'redis-server'), other);
}

/**
 * Unpacks the distribution's package under `.pushfleet/redis`.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {'apt' | 'dnf'} manager
 * @returns {Promise<string | undefined>} Why it cannot be had; undefined when the server is there.
 */
async function fetchRedis(root, env, manager) {
  const folder = join(root, '.pushfleet', 'redis');
  const unfinished = `${folder}.${process.pid}`;
  try {
    return await step(
      `Redis was not found; unpacking the distribution's package under ${folder}, nothing else is changed`,
      async () => {
        rmSync(unfinished, { recursive: true, force: true });
        mkdirSync(unfinished, { recursive: true });
        const problem =
          manager === 'apt' ? await unpackDebian(unfinished, env) : await unpackRpm(unfinished, env);
        if (problem !== undefined) return problem;
        rmSync(folder, { recursive: true, force: true });
        renameSync(unfinished, folder);
        return wrap(root, folder);
      },
    );
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/**
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
async function unpackDebian(folder, env) {
  const options = { cwd: folder, env: { ...env, LC_ALL: 'C' }, timeoutMs: 5 * 60_000 };
  /** @type {string[]} */
  let lists = [];
  /** @param {string} name */
  const download = (name) => runQuietly('apt-get', [...lists, 'download', name], options);
  let server = await download('redis-tools');
  if (!server.ok) {
    // The system's package lists are missing or old, and only root may renew those: renew lists of our own.
    lists = ['-o', `Dir::State=${folder}/state`, '-o', `Dir::Cache=${folder}/cache`];
    mkdirSync(join(folder, 'state', 'lists', 'partial'), { recursive: true });
    mkdirSync(join(folder, 'cache', 'archives', 'partial'), { recursive: true });
    const update = await runQuietly('apt-get', [...lists, 'update'], options);
    server = await download('redis-tools');
    if (!server.ok) return lastLine(server.output || update.output);
  }
  for (const name of debianLibraries) await download(name);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb'))) {
    const unpacked = await runQuietly('dpkg', ['-x', file, folder], options);
    if (!unpacked.ok) return lastLine(unpacked.output);
    rmSync(join(folder, file));
  }
  for (const name of ['state', 'cache']) rmSync(join(folder, name), { recursive: true, force: true });
  return undefined;
}

/**
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
async function unpackRpm(folder, env) {
  const options = { cwd: folder, env: { ...env, LC_ALL: 'C' }, timeoutMs: 5 * 60_000 };
  let problem = '';
  for (const name of ['valkey', 'redis']) {
    const download = await runQuietly('dnf', ['-y', 'download', name], options);
    if (download.ok) {
      const unpacked = await runQuietly(
        'sh',
        ['-c', 'for file in *.rpm; do rpm2cpio "$file" | cpio -idm --quiet && rm "$file"; done'],
        options,
      );
      return unpacked.ok ? undefined : lastLine(unpacked.output);
    }
    problem = lastLine(download.output);
  }
  return problem;
}

/**
 * Puts a `redis-server` into `.pushfleet/bin` that finds the libraries unpacked beside it.
 * @param {string} root
 * @param {string} folder
 * @returns {string | undefined} Why it does not run.
 */
function wrap(root, folder) {
  const program = onPath([...serverNames, debianProgram], { PATH: `${folder}/usr/bin:${folder}/bin` });
  if (program === undefined) return 'the package holds no Redis server';
  const server = join(folder, 'redis-server');
  if (program !== server) link(server, program);
  const libraries = libraryFolders(folder).join(':');
  const wrapper = join(root, '.pushfleet', 'bin', 'redis-server');
  mkdirSync(dirname(wrapper), { recursive: true });
  rmSync(wrapper, { force: true });
  writeFileSync(
    wrapper,
    `#!/bin/sh\nLD_LIBRARY_PATH=${quote(libraries)}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec ${quote(server)} "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  return isServer(wrapper) ? undefined : 'the unpacked Redis does not run on this machine';
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function libraryFolders(folder) {
  const folders = [];
  for (const base of ['usr/lib', 'lib', 'usr/lib64', 'lib64']) {
    const path = join(folder, base);
    if (!existsSync(path)) continue;
    folders.push(path);
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name.includes('linux')) folders.push(join(path, entry.name));
    }
  }
  return folders;
}

/**
 * @param {string} path
 * @param {string} target
 * @returns {string | undefined} The path, where the target is a Redis server under that name.
 */
function link(path, target) {
  try {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(target, path);
    return isServer(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} program */
function isServer(program) {
  try {
    return /server/i.test(
      execFileSync(program, ['--version'], {
        encoding: 'utf8',
        timeout: 10_000,
        // What it lacks is fetched; that is no news.
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
  } catch {
    return false;
  }
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {'apt' | 'dnf' | undefined}
 */
function packageManager(env) {
  if (onPath(['apt-get'], env) !== undefined && onPath(['dpkg'], env) !== undefined) return 'apt';
  const needed = ['dnf', 'rpm2cpio', 'cpio'];
  return needed.every((name) => onPath([name], env) !== undefined) ? 'dnf' : undefined;
}

/**
 * Returns the command that installs Redis on this system.
 * @param {NodeJS.ProcessEnv} env
 */
function installCommand(env) {
  const commands = /** @type {const} */ ([
    ['apt-get', 'sudo apt-get install redis-server'],
    ['dnf', 'sudo dnf install valkey'],
    ['yum', 'sudo yum install redis'],
    ['apk', 'sudo apk add redis'],
    ['pacman', 'sudo pacman -S valkey'],
    ['zypper', 'sudo zypper install redis'],
    ['brew', 'brew install redis'],
  ]);
  const known = commands.find(([program]) => onPath([program], env) !== undefined);
  return known === undefined
    ? 'install redis-server or valkey-server so that it is on the PATH'
    : `run: ${known[1]}`;
}

/**
 * Whether a container engine answers and has the image already.
 * @param {NodeJS.ProcessEnv} env
 */
function hasImage(env) {
  return dockerSays(['image', 'inspect', '--format', '{{.Id}}', 'redis:8-bookworm'], env);
}

/** @param {NodeJS.ProcessEnv} env */
function engineAnswers(env) {
  return dockerSays(['version', '--format', '{{.Server.Version}}'], env);
}

/**
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function dockerSays(args, env) {
  const docker = env.PUSHFLEET_TEST_SERVICES === 'programs' ? undefined : onPath(['docker'], env);
  if (docker === undefined) return false;
  try {
    execFileSync(docker, args, { env, stdio: ['ignore', 'ignore', 'ignore'], timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {readonly string[]} names
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined}
 */
function onPath(names, env) {
  for (const name of names) {
    for (const folder of (env.PATH ?? '').split(delimiter)) {
      if (folder === '') continue;
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}

/** @param {string} text */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} output */
function lastLine(output) {
  return output.trim().split('\n').at(-1) ?? '';
}
