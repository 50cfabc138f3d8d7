import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { say } from './steps.mjs';

/**
 * Runs one step of a task in front: its streams are ours, signals reach it, and its end is ours.
 * @param {import('../tasks.mjs').Step} step
 * @param {{ root: string, env: NodeJS.ProcessEnv, args: readonly string[], counter?: import('./test-counter.mjs').TestCounter | undefined }} options
 * @returns {Promise<{ code: number, interrupted: NodeJS.Signals | undefined }>} Its exit code, 128 and the signal's
 *   number when a signal ended it; and the signal that we got meanwhile.
 */
export async function runStep(step, { root, env, args, counter }) {
  const [command = '', ...given] = step.command;
  const child = spawn(command, [...given, ...args], {
    cwd: root,
    env: { ...env, PATH: `${env.PATH}:${join(root, 'node_modules', '.bin')}` },
    stdio: ['inherit', counter === undefined ? 'inherit' : 'pipe', 'inherit'],
  });
  child.stdout?.on('data', (chunk) => {
    process.stdout.write(chunk);
    counter?.read(chunk);
  });

  /** @type {NodeJS.Signals | undefined} */
  let interrupted;
  /** @param {NodeJS.Signals} signal */
  const forward = (signal) => {
    interrupted = signal;
    // A terminal sends Ctrl-C to the child as well, and a second one would mean: at once.
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const signal of signals) process.on(signal, forward);
  const parentWatch = watchParent(() => child.kill('SIGTERM'));
  try {
    const code = await new Promise((resolve) => {
      child.once('error', (error) => {
        say(`${step.name}: ${command} could not be started: ${error.message}`);
        resolve(127);
      });
      child.once('close', (code, signal) => {
        resolve(signal === null ? (code ?? 1) : signalCode(signal));
      });
    });
    return { code, interrupted };
  } finally {
    for (const signal of signals) process.off(signal, forward);
    clearInterval(parentWatch);
  }
}

/**
 * As shells give it.
 * @param {NodeJS.Signals} signal
 */
export function signalCode(signal) {
  return 128 + constants.signals[signal];
}

/**
 * An npm that is killed forwards nothing, and would leave what it ran behind. Without npm, a parent that goes may
 * mean to leave us running.
 * @param {() => void} onGone
 */
function watchParent(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    onGone();
  }, 500);
  return watch;
}
