import { existsSync, globSync, lchownSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createPrivateFolder, findPostgres } from '@pushfleet/testkit';
import type { OrdinaryUser } from './ordinary-user.ts';

/** What the set-up has fetched already; nothing is to be fetched again. */
const setUp = /^(node-.+|redis|bin)$/;
const notCopied = new Set(['node_modules', '.git', '.pushfleet', '.turbo', '.env', 'dist', 'coverage']);

/** A copy of the repository that belongs to the user, as after the set-up of a fresh clone. */
export interface Clone {
  readonly folder: string;
  /** A folder beside it, with nothing in it. */
  readonly home: string;
  remove(): Promise<void>;
}

/** @param root Of the repository. */
export async function openClone(root: string, { account }: OrdinaryUser): Promise<Clone> {
  // Completes the package that holds Postgres, which the account could not.
  await findPostgres();
  // Goes with this process, however that ends.
  const { path: parent, remove } = await createPrivateFolder('snippets', account);
  const folder = join(parent, 'pushfleet');
  const home = join(parent, 'home');
  await mkdir(home);
  await cp(root, folder, {
    recursive: true,
    filter: (source) => !notCopied.has(basename(source)) && !source.endsWith('deploy/compose/secrets'),
  });
  for (const modules of globSync('{.,apps/*,packages/*}/node_modules', { cwd: root })) {
    await linkModules(join(root, modules), join(folder, modules));
  }
  await mkdir(join(folder, '.pushfleet'));
  const fetched = join(root, '.pushfleet');
  for (const name of existsSync(fetched) ? readdirSync(fetched) : []) {
    if (setUp.test(name)) await symlink(join(fetched, name), join(folder, '.pushfleet', name));
  }
  if (account !== undefined) give(parent, account);
  return { folder, home, remove };
}

/** Dependencies are those of the repository, workspaces those of the clone, and caches none. */
async function linkModules(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of readdirSync(from)) {
    if (name.startsWith('.') && name !== '.bin' && name !== '.package-lock.json') continue;
    if (name !== '@pushfleet') {
      await symlink(join(from, name), join(to, name));
      continue;
    }
    await mkdir(join(to, name));
    for (const workspace of readdirSync(join(from, name))) {
      // Relative: `../../packages/client`.
      await symlink(readlinkSync(join(from, name, workspace)), join(to, name, workspace));
    }
  }
}

/** To another account; what links lead to stays whose it is. */
function give(path: string, account: { readonly uid: number; readonly gid: number }): void {
  lchownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) give(join(path, name), account);
}
