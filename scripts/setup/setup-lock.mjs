import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SetupError, say } from './steps.mjs';

/** Long enough for a first install over a slow line, milliseconds. */
const patienceMs = 15 * 60_000;

/**
 * Holds a lock while working, so that two commands started at once on a fresh clone do not install over each other.
 * The lock of a process that is gone does not count.
 * @template Result
 * @param {string} file
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function withSetupLock(file, work) {
  if (!isWritable(dirname(file))) return work();
  const deadline = Date.now() + patienceMs;
  for (let announced = false; !tryLock(file); announced = true) {
    if (!announced) say(`another command is setting up (${file}): waiting for it`);
    if (Date.now() > deadline) {
      throw new SetupError('another command has been setting up for too long', [`end it, or remove ${file}`]);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/**
 * Whoever cannot write here, in a clone of another account's, cannot install either, and needs no lock to find that
 * everything is there.
 * @param {string} folder
 */
function isWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} file
 * @returns {boolean}
 */
function tryLock(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (cause) {
    if (/** @type {NodeJS.ErrnoException} */ (cause).code !== 'EEXIST') throw cause;
  }
  try {
    // Signal 0 only asks whether the process is there.
    process.kill(Number(readFileSync(file, 'utf8')), 0);
  } catch (cause) {
    if (/** @type {NodeJS.ErrnoException} */ (cause).code === 'ESRCH') rmSync(file, { force: true });
  }
  return false;
}
