import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDependencies } from './setup/dependencies.mjs';
import { ensureNode, environmentWith } from './setup/node-runtime.mjs';
import { ensureRedis } from './setup/redis.mjs';
import { runStep, signalCode } from './setup/run-step.mjs';
import { withSetupLock } from './setup/setup-lock.mjs';
import { reportSetupError, say } from './setup/steps.mjs';
import { TestCounter } from './setup/test-counter.mjs';
import { tasks } from './tasks.mjs';

// The one way in for `npm test`, `npm run demo` and the like: makes a fresh clone able to run the task (a fitting
// Node.js, dependencies, a Redis), and runs it. Plain JavaScript without dependencies, for Node.js 18 and newer.

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} name
 * @param {readonly string[]} args
 * @returns {Promise<number>} The exit code.
 */
async function main(name, args) {
  const task = tasks[name];
  if (task === undefined) {
    say(`there is no task ${name || '(none given)'}: there are ${Object.keys(tasks).join(', ')}`);
    return 2;
  }
  const lock = join(root, '.pushfleet', 'setup.lock');
  const node = await withSetupLock(lock, async () => {
    // First, since what cannot be had is to be said before anything is installed.
    if (task.needsRedis === true) await ensureRedis(root, process.env);
    const executable = await ensureNode(root);
    await ensureDependencies(root, environmentWith(executable));
    return executable;
  });
  const env = {
    ...environmentWith(node),
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    ...colorsOf(process.stdout.isTTY),
    ...task.env,
  };
  if (task.needsRedis === true) {
    const { code: ready } = await runStep(
      { name: 'Redis', command: ['node', 'packages/testkit/src/ensure-redis.ts'] },
      { root, env, args: [] },
    );
    if (ready !== 0) return ready;
  }

  if (args.includes('--json') && bannerDisturbs(process.env))
    say(`npm has written lines of its own before the JSON: npm run -s ${name} -- --json leaves them out`);
  if (task.takes !== undefined && args.length === 0) say(`${name} takes ${task.takes}`);
  return runSteps(name, task, { env, args });
}

/**
 * Whether npm's two lines went into a pipe or a file together with what the task prints.
 * @param {NodeJS.ProcessEnv} env As npm sets it.
 */
function bannerDisturbs(env) {
  return (
    env.npm_lifecycle_event !== undefined && env.npm_config_loglevel !== 'silent' && !process.stdout.isTTY
  );
}

/**
 * @param {string} name
 * @param {import('./tasks.mjs').Task} task
 * @param {{ env: NodeJS.ProcessEnv, args: readonly string[] }} options
 * @returns {Promise<number>} The first exit code that is not 0.
 */
async function runSteps(name, task, { env, args }) {
  const counter = task.countsTests === true ? new TestCounter() : undefined;
  /** @type {string[]} */
  const failed = [];
  const argumentsAreTaken = task.steps.some((step) => step.takesArguments === true);
  let code = 0;
  for (const step of task.steps) {
    // Arguments say which tests are wanted: then those alone.
    if (args.length > 0 && step.takesArguments !== true && argumentsAreTaken) continue;
    const result = await runStep(step, {
      root,
      env,
      args: step.takesArguments === true ? args : [],
      counter,
    });
    // A service that is asked to stop may well end with 0; tests that were cut short have not passed.
    const stopped = task.runsAll === true ? result.interrupted : undefined;
    const stepCode = stopped === undefined ? result.code : signalCode(stopped);
    if (stepCode === 0) continue;
    code ||= stepCode;
    failed.push(step.name);
    if (task.runsAll !== true || stopped !== undefined) break;
  }
  if (task.steps.length > 1 && failed.length > 0) say(`${name} failed: ${failed.join(', ')}`);
  if (counter !== undefined) {
    for (const { name: test, lines } of counter.failed) {
      say(`failed: ${test}`);
      for (const line of lines) say(`  ${line}`);
    }
    process.stdout.write(`${counter.summary}\n`);
  }
  return code;
}

/**
 * Programs whose output goes through us, or through turbo, cannot see what it ends in.
 * @param {boolean} isTerminal
 * @returns {NodeJS.ProcessEnv}
 */
function colorsOf(isTerminal) {
  if (process.env.FORCE_COLOR !== undefined || process.env.NO_COLOR !== undefined) return {};
  return isTerminal ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
}

try {
  const [name = '', ...args] = process.argv.slice(2);
  process.exitCode = await main(name, args);
} catch (error) {
  reportSetupError(error);
}
