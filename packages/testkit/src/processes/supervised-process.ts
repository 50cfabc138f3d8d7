import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type GuardSignal, ProcessGuard } from './process-guard.ts';

export interface SupervisedProcessOptions<Ready> {
  /** What it is called in error messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
  /** Runs it under another account; only root may. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
  /** Looks at each line of standard output and standard error; anything but `undefined` means ready. */
  readonly readReady: (line: string, stream: 'stdout' | 'stderr') => Ready | undefined;
  /** How long it may take to become ready, milliseconds. */
  readonly readyTimeoutMs: number;
  /** What `stop` sends first. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT' | 'SIGQUIT';
  /** How long it may take to stop before SIGKILL, milliseconds. */
  readonly stopTimeoutMs: number;
  /** What ends it when this process dies. */
  readonly guardSignal?: GuardSignal;
  /** The guard of a longer life, a restartable service's; without it the process gets a guard of its own. */
  readonly guard?: ProcessGuard;
  /** Also gets every line, as it comes. */
  readonly onLine?: ((line: string, stream: 'stdout' | 'stderr') => void) | undefined;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How much of its output is kept for error messages, lines. */
const keptLines = 200;

/** How long its children may hold on to its output after it has exited, milliseconds. */
const lastWordsMs = 5_000;

/** A process did not become ready, or not in time. The message ends with its last lines. */
export class ProcessStartError extends Error {
  override readonly name = 'ProcessStartError';
  readonly exit: ProcessExit | undefined;
  readonly output: string;

  constructor(message: string, output: string, exit?: ProcessExit) {
    super(output === '' ? message : `${message}. Its last lines:\n${output}`);
    this.output = output;
    this.exit = exit;
  }
}

/**
 * A child process with a known beginning and end: ready when it says so, ended by `stop` or `kill`, and never
 * outliving this process. It leads a process group of its own, so that Ctrl-C in a terminal reaches only us.
 */
export class SupervisedProcess<Ready> {
  readonly pid: number;
  /** What `readReady` made of the ready line. */
  readonly ready: Ready;
  /** Settles when the process is gone, however it went; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #options: SupervisedProcessOptions<Ready>;
  readonly #lines: string[];

  private constructor(
    options: SupervisedProcessOptions<Ready>,
    started: {
      child: ChildProcess;
      pid: number;
      ready: Ready;
      exited: Promise<ProcessExit>;
      lines: string[];
    },
  ) {
    this.#options = options;
    this.#child = started.child;
    this.#lines = started.lines;
    this.pid = started.pid;
    this.ready = started.ready;
    this.exited = started.exited;
  }

  /**
   * Starts it and waits until it is ready.
   * @throws ProcessStartError when it cannot be started, exits first, or is not ready in time (it is then ended).
   */
  static async start<Ready>(options: SupervisedProcessOptions<Ready>): Promise<SupervisedProcess<Ready>> {
    const child = spawn(options.command, options.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.account ?? {}),
    });
    const { pid } = child;
    if (pid === undefined) {
      const cause = await new Promise<Error>((resolve) => child.once('error', resolve));
      throw new ProcessStartError(`${options.name} could not be started: ${cause.message}`, '');
    }
    const guard = options.guard ?? new ProcessGuard();
    guard.watch(-pid, options.guardSignal);
    const lines: string[] = [];
    const exited = waitUntilGone(child, pid).then(async (exit) => {
      if (options.guard === undefined) await guard.release();
      else guard.unwatch();
      return exit;
    });
    try {
      const ready = await waitUntilReady(options, child, lines, exited);
      return new SupervisedProcess(options, { child, pid, ready, exited, lines });
    } catch (cause) {
      killGroup(child, 'SIGKILL');
      await exited;
      throw cause;
    }
  }

  /** Its last lines on both streams, newest last. */
  get output(): string {
    return this.#lines.join('\n');
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends a signal to it alone, not to its children. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop; SIGKILL when it has not by then. */
  async stop(): Promise<ProcessExit> {
    if (this.running) this.#child.kill(this.#options.stopSignal ?? 'SIGTERM');
    const deadline = setTimeout(() => killGroup(this.#child, 'SIGKILL'), this.#options.stopTimeoutMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Ends it and its children at once, as a crash would. */
  async kill(): Promise<ProcessExit> {
    killGroup(this.#child, 'SIGKILL');
    return this.exited;
  }
}

/** Settles when it has exited and said its last: `close` comes after the last line, `exit` may come before. */
async function waitUntilGone(child: ChildProcess, pid: number): Promise<ProcessExit> {
  return new Promise((resolve) => {
    let lastWords: NodeJS.Timeout | undefined;
    child.once('exit', (code, signal) => {
      // A grandchild that holds on to the streams keeps `close` away: it goes with its group.
      lastWords = setTimeout(() => {
        try {
          process.kill(-pid, 'SIGKILL');
        } catch {
          // Nobody left in the group.
        }
        resolve({ code, signal });
      }, lastWordsMs);
    });
    child.once('close', (code, signal) => {
      clearTimeout(lastWords);
      resolve({ code, signal });
    });
  });
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  // Once it has been waited for, its number may belong to another process.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}

async function waitUntilReady<Ready>(
  options: SupervisedProcessOptions<Ready>,
  child: ChildProcess,
  lines: string[],
  exited: Promise<ProcessExit>,
): Promise<Ready> {
  return new Promise<Ready>((resolve, reject) => {
    const fail = (message: string, exit?: ProcessExit): void => {
      reject(new ProcessStartError(`${options.name} ${message}`, lines.slice(-30).join('\n'), exit));
    };
    const deadline = setTimeout(
      () => fail(`was not ready within ${options.readyTimeoutMs / 1_000} s`),
      options.readyTimeoutMs,
    );
    child.once('error', (error) => fail(`could not be started: ${error.message}`));
    void exited.then((exit) => {
      clearTimeout(deadline);
      fail(`exited before it was ready (${exit.signal ?? `code ${exit.code}`})`, exit);
    });
    const follow = (input: Readable, stream: 'stdout' | 'stderr'): void => {
      createInterface({ input }).on('line', (line) => {
        lines.push(line);
        if (lines.length > keptLines) lines.shift();
        try {
          options.onLine?.(line, stream);
          const ready = options.readReady(line, stream);
          if (ready === undefined) return;
          clearTimeout(deadline);
          resolve(ready);
        } catch (cause) {
          clearTimeout(deadline);
          fail(`said something unexpected: ${String(cause)}`);
        }
      });
    };
    if (child.stdout !== null) follow(child.stdout, 'stdout');
    if (child.stderr !== null) follow(child.stderr, 'stderr');
  });
}
