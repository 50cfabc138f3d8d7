import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Who runs the snippets, and what the shell of that user finds. */
export interface OrdinaryUser {
  /** Undefined: the account that runs the tests is ordinary, or none other can read the repository. */
  readonly account: { readonly uid: number; readonly gid: number } | undefined;
  /** Without the Node.js and the programs that the launcher put in front. */
  readonly path: string;
  /** The Node.js that is first on that path. */
  readonly node: { readonly program: string; readonly version: string };
  /** For the output of the test. */
  readonly description: string;
}

/** As root, the account `nobody`. @param root Of the repository. */
export function findOrdinaryUser(root: string): OrdinaryUser {
  const account = process.getuid?.() === 0 ? accountThatReads(root) : undefined;
  const path = pathWithoutOurs();
  const program = findOnPath('node', path) ?? process.execPath;
  const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
  const name = account === undefined ? `uid ${process.getuid?.()}` : 'nobody';
  return { account, path, node: { program, version }, description: `${name}, Node.js ${version}` };
}

function accountThatReads(root: string): OrdinaryUser['account'] {
  try {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'nobody'])));
    const account = { uid: uid!, gid: gid! };
    execFileSync(process.execPath, ['-e', `require(${JSON.stringify(join(root, 'package.json'))})`], {
      ...account,
      cwd: '/',
      stdio: 'ignore',
    });
    return account;
  } catch {
    return undefined;
  }
}

/** The system's own Node.js and npm, where there are any. */
function pathWithoutOurs(): string {
  const all = (process.env.PATH ?? '').split(delimiter);
  const theirs = all.filter(
    (folder) => folder !== dirname(process.execPath) && !folder.endsWith('node_modules/.bin'),
  );
  const path = theirs.join(delimiter);
  const isWhole = findOnPath('node', path) !== undefined && findOnPath('npm', path) !== undefined;
  return isWhole ? path : [dirname(process.execPath), ...theirs].join(delimiter);
}

function findOnPath(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
