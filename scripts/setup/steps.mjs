import { spawn } from 'node:child_process';

// What the launcher does before a task it says on standard error: standard output belongs to the task.

/** @param {string} line */
export function say(line) {
  process.stderr.write(`pushfleet: ${line}\n`);
}

/** Something in the set-up did not work. `advice` says what to do about it, one way a line. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {readonly string[]} advice
   */
  constructor(message, advice) {
    super(message);
    this.name = 'SetupError';
    this.advice = advice;
  }
}

/**
 * Says what went wrong and what to do about it, and lets the process end with 1.
 * @param {unknown} error
 * @throws Whatever is no SetupError.
 */
export function reportSetupError(error) {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  for (const advice of error.advice) say(`→ ${advice}`);
  process.exitCode = 1;
}

/**
 * Announces a step that may take longer than a second, and says how long it took.
 * @template Result
 * @param {string} what As in "Installing dependencies".
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function step(what, work) {
  const startedAt = Date.now();
  say(`${what} …`);
  const result = await work();
  say(`… done in ${((Date.now() - startedAt) / 1_000).toFixed(1)} s`);
  return result;
}

/**
 * Runs a program to its end, silently. A signal that comes meanwhile ends the program, and then us.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, env: NodeJS.ProcessEnv, timeoutMs: number }} options
 * @returns {Promise<{ ok: boolean, output: string }>} `output` holds what it said last, on both streams.
 */
export async function runQuietly(command, args, { cwd, env, timeoutMs }) {
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    /** @param {Buffer} chunk */
    const keep = (chunk) => {
      output = (output + chunk.toString()).slice(-8_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    /** @type {NodeJS.Signals | undefined} */
    let interrupted;
    /** @param {NodeJS.Signals} signal */
    const forward = (signal) => {
      interrupted = signal;
      child.kill(signal);
    };
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
    for (const signal of signals) process.on(signal, forward);
    const ended = () => {
      for (const signal of signals) process.off(signal, forward);
      if (interrupted !== undefined) process.kill(process.pid, interrupted);
    };
    child.once('error', (error) => {
      ended();
      resolve({ ok: false, output: error.message });
    });
    child.once('close', (code, signal) => {
      ended();
      if (signal !== null) output += `\nended by ${signal} after at most ${timeoutMs / 1_000} s`;
      resolve({ ok: code === 0, output: output.trim() });
    });
  });
}
