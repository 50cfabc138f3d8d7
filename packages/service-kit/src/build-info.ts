import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Which build this is. */
export interface BuildInfo {
  /** Of the release, as in package.json. */
  readonly version: string;
  /** The commit it was built from, or runs in; `unknown` where nothing tells. */
  readonly commit: string;
  /** The version of Node.js, such as `v24.18.0`. */
  readonly node: string;
}

const packageRoot = dirname(dirname(fileURLToPath(import.meta.url)));
const repositoryRoot = dirname(dirname(packageRoot));

/** What an image says of itself (PUSHFLEET_BUILD_COMMIT), or a clone. Reads files; does not change within a process. */
export function readBuildInfo(env: NodeJS.ProcessEnv = process.env): BuildInfo {
  const manifest = JSON.parse(readFileSync(resolve(packageRoot, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const commit = env.PUSHFLEET_BUILD_COMMIT || readHead(repositoryRoot) || 'unknown';
  return { version: manifest.version, commit, node: process.version };
}

/** The commit that a clone, or a work tree beside one, has checked out; undefined where there is none. */
function readHead(root: string): string | undefined {
  try {
    const git = gitFolderOf(root);
    const head = readFileSync(resolve(git, 'HEAD'), 'utf8').trim();
    const [, ref] = /^ref: (.+)$/.exec(head) ?? [];
    if (ref === undefined) return asCommit(head);
    const shared = commonFolderOf(git);
    const loose = textOf(resolve(shared, ref));
    if (loose !== undefined) return asCommit(loose.trim());
    const packed = (textOf(resolve(shared, 'packed-refs')) ?? '').split('\n');
    return asCommit(packed.find((line) => line.endsWith(` ${ref}`))?.slice(0, 40) ?? '');
  } catch {
    return undefined;
  }
}

/** `.git` is a folder, or in a work tree a file that names one. */
function gitFolderOf(root: string): string {
  const path = resolve(root, '.git');
  const [, named] = /^gitdir: (.+)$/m.exec(textOf(path) ?? '') ?? [];
  return named === undefined ? path : resolve(root, named);
}

function commonFolderOf(git: string): string {
  const named = textOf(resolve(git, 'commondir'));
  return named === undefined ? git : resolve(git, named.trim());
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function asCommit(text: string): string | undefined {
  return /^[0-9a-f]{40,64}$/.test(text) ? text : undefined;
}
