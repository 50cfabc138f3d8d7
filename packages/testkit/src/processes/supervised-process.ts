import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type GuardSignal, ProcessGuard } from './process-guard.ts';

export type OutputStream = 'stdout' | 'stderr';

export interface SupervisedProcessOptions {
  /** What it is called in error messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
  /** Runs it under another account; only root may. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
  /** What `stop` sends first; SIGTERM by default. */
  readonly stopSignal?: 'SIGTERM' | 'SIGINT' | 'SIGQUIT';
  /** How long it may take to stop before SIGKILL, milliseconds. */
  readonly stopTimeoutMs: number;
  /** What ends it when this process dies; KILL by default. */
  readonly guardSignal?: GuardSignal;
  /** The guard of a longer life, a restartable service's; without it the process gets a guard of its own. */
  readonly guard?: ProcessGuard;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface OutputLine {
  readonly text: string;
  readonly stream: OutputStream;
}

/** How much of its output is kept, lines. */
const keptLines = 1_000;

/** How long its children may hold on to its output after it has exited, milliseconds. */
const lastWordsMs = 5_000;

/** A process could not be started, or did not say what was waited for. The message ends with its last lines. */
export class ProcessError extends Error {
  override readonly name = 'ProcessError';
  readonly output: string;

  constructor(message: string, output = '') {
    super(output === '' ? message : `${message}. Its last lines:\n${output}`);
    this.output = output;
  }
}

/**
 * A child process with a known beginning and end: it never outlives this process, and is ended by `stop` or
 * `kill`. It leads a process group of its own, so that Ctrl-C in a terminal reaches only us.
 */
export class SupervisedProcess {
  readonly pid: number;
  /** Settles when the process is gone, however it went; never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #child: ChildProcess;
  readonly #options: SupervisedProcessOptions;
  readonly #lines: OutputLine[] = [];
  readonly #listeners = new Set<(line: OutputLine) => void>();

  private constructor(options: SupervisedProcessOptions, child: ChildProcess, pid: number) {
    this.#options = options;
    this.#child = child;
    this.pid = pid;
    const guard = options.guard ?? new ProcessGuard();
    guard.watch(-pid, options.guardSignal);
    this.exited = waitUntilGone(child, pid).then(async (exit) => {
      if (options.guard === undefined) await guard.release();
      else guard.unwatch();
      return exit;
    });
    this.#follow(child.stdout, 'stdout');
    this.#follow(child.stderr, 'stderr');
  }

  /** @throws ProcessError when it cannot be started. */
  static async spawn(options: SupervisedProcessOptions): Promise<SupervisedProcess> {
    const child = spawn(options.command, options.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.account ?? {}),
    });
    if (child.pid === undefined) {
      const [cause] = (await once(child, 'error')) as [Error];
      throw new ProcessError(`${options.name} could not be started: ${cause.message}`);
    }
    // From now on an error is a signal that could not be sent, which its exit will tell better.
    child.on('error', () => undefined);
    return new SupervisedProcess(options, child, child.pid);
  }

  /** Its last lines on both streams, newest last. */
  get lines(): readonly OutputLine[] {
    return this.#lines;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Calls back with every line from now on; gives the way to stop that. */
  onLine(listener: (line: OutputLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits for a line, one said before included, of which `read` makes something other than `undefined`.
   * @param what What is waited for, as it stands in the error: `was not ready`.
   * @throws ProcessError when it exits first, or has not said it within `timeoutMs`.
   */
  async waitForLine<Value>(
    read: (line: OutputLine) => Value | undefined,
    { what, timeoutMs }: { readonly what: string; readonly timeoutMs: number },
  ): Promise<Value> {
    for (const line of this.#lines) {
      const value = read(line);
      if (value !== undefined) return value;
    }
    return new Promise<Value>((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(deadline);
        unsubscribe();
        action();
      };
      const fail = (why: string): void => settle(() => reject(this.#error(why)));
      const unsubscribe = this.onLine((line) => {
        try {
          const value = read(line);
          if (value !== undefined) settle(() => resolve(value));
        } catch (cause) {
          fail(`said something unexpected: ${String(cause)}`);
        }
      });
      const deadline = setTimeout(() => fail(`${what} within ${timeoutMs / 1_000} s`), timeoutMs);
      void this.exited.then(({ code, signal }) => fail(`${what}: it exited (${signal ?? `code ${code}`})`));
    });
  }

  /** Sends a signal to it alone, not to its children. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop; SIGKILL when it has not by then. */
  async stop(): Promise<ProcessExit> {
    if (this.running) this.#child.kill(this.#options.stopSignal ?? 'SIGTERM');
    const deadline = setTimeout(() => this.#killGroup(), this.#options.stopTimeoutMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Ends it and its children at once, as a crash would. */
  async kill(): Promise<ProcessExit> {
    this.#killGroup();
    return this.exited;
  }

  #killGroup(): void {
    // Once it has been waited for, its number may belong to another process.
    if (this.running) signalGroup(this.pid);
  }

  #follow(input: Readable | null, stream: OutputStream): void {
    if (input === null) return;
    createInterface({ input }).on('line', (text) => {
      const line = { text, stream };
      this.#lines.push(line);
      if (this.#lines.length > keptLines) this.#lines.shift();
      for (const listener of this.#listeners) listener(line);
    });
  }

  #error(why: string): ProcessError {
    const output = this.#lines.slice(-30).map((line) => line.text);
    return new ProcessError(`${this.#options.name} ${why}`, output.join('\n'));
  }
}

/** Settles when it has exited and said its last: `close` comes after the last line, `exit` may come before. */
async function waitUntilGone(child: ChildProcess, pid: number): Promise<ProcessExit> {
  return new Promise((resolve) => {
    let lastWords: NodeJS.Timeout | undefined;
    child.once('exit', (code, signal) => {
      // A grandchild that holds on to the streams keeps `close` away: it goes with its group.
      lastWords = setTimeout(() => {
        signalGroup(pid);
        resolve({ code, signal });
      }, lastWordsMs);
    });
    child.once('close', (code, signal) => {
      clearTimeout(lastWords);
      resolve({ code, signal });
    });
  });
}

function signalGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in the group.
  }
}
