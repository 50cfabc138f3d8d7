import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runQuietly, SetupError, step } from './steps.mjs';

/**
 * @typedef {{ version?: string, integrity?: string, resolved?: string, optional?: boolean, devOptional?: boolean, peer?: boolean }} LockedPackage
 * @typedef {{ packages: Record<string, LockedPackage> }} Lockfile
 */

/**
 * Installs what package-lock.json says, unless it is there already.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
export async function ensureDependencies(root, env) {
  const locked = readLockfile(join(root, 'package-lock.json'));
  if (locked === undefined)
    throw new SetupError('package-lock.json cannot be read', ['check the clone: git status']);
  const installed = readLockfile(join(root, 'node_modules', '.package-lock.json'));
  if (installed !== undefined && isInstalled(locked, installed)) return;
  const why = installed === undefined ? '' : ' (package-lock.json has changed)';
  await step(`Installing dependencies with npm ci${why}, usually within a minute`, async () => {
    // Within `npm run -s` it would not say why it fails.
    const args = ['ci', '--no-progress', '--loglevel=error'];
    const npm = await runQuietly('npm', args, { cwd: root, env, timeoutMs: 15 * 60_000 });
    if (npm.ok) return;
    throw new SetupError(`npm ci failed:\n${npm.output}`, [
      'check the network, and that npm reaches its registry: npm ping',
      'if files belong to another account, remove node_modules as that account',
    ]);
  });
}

/**
 * npm writes what it installed to node_modules/.package-lock.json, last of all. It leaves out what does not fit
 * this machine.
 * @param {Lockfile} locked
 * @param {Lockfile} installed
 */
export function isInstalled(locked, installed) {
  for (const [path, wanted] of Object.entries(locked.packages)) {
    if (!path.includes('node_modules/')) continue;
    const found = installed.packages[path];
    if (found === undefined) {
      if (wanted.optional === true || wanted.devOptional === true || wanted.peer === true) continue;
      return false;
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity) return false;
  }
  return Object.keys(installed.packages).every((path) => path in locked.packages);
}

/**
 * @param {string} file
 * @returns {Lockfile | undefined}
 */
function readLockfile(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
