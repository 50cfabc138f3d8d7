import { fileURLToPath } from 'node:url';
import { type OutputLine, type ProcessExit, SupervisedProcess } from './supervised-process.ts';

export interface ProcessCommand {
  /** A TypeScript or JavaScript file, run by the Node.js that runs us. Either this or `command`. */
  readonly entry?: string | URL;
  /** Another program. */
  readonly command?: string;
  readonly args?: readonly string[];
  /** Flags for Node.js itself, before `entry`. */
  readonly execArgv?: readonly string[];
  /** Environment variables besides our own; `undefined` takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Runs it under another account; only root may. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
  /** What it is called in error messages; its entry by default. */
  readonly name?: string;
  /** From SIGTERM to SIGKILL, milliseconds; 30 seconds by default, more than a service's own drain deadline. */
  readonly stopTimeoutMs?: number;
}

export interface StartProcessOptions extends ProcessCommand {
  /**
   * Which JSON line of standard output says that it is ready. By default the simulator's (`"ready": true`) or a
   * service's (`"msg": "ready"`).
   */
  readonly isReadyLine?: (line: Readonly<Record<string, unknown>>) => boolean;
  /** Milliseconds; 30 seconds by default. */
  readonly readyTimeoutMs?: number;
}

export interface StartedProcess {
  readonly process: SupervisedProcess;
  /** Its ready line, parsed. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** SIGTERM, then SIGKILL at the deadline. */
  stop(): Promise<ProcessExit>;
  /** SIGKILL, as a crash would. */
  kill(): Promise<ProcessExit>;
}

/**
 * Starts a process and waits for the JSON line by which it says that it is ready.
 * @throws ProcessError, with its last lines, when it exits first or is not ready in time.
 */
export async function startProcess(options: StartProcessOptions): Promise<StartedProcess> {
  const isReadyLine = options.isReadyLine ?? ((line) => line.ready === true || line.msg === 'ready');
  const child = await spawnCommand(options);
  try {
    const ready = await child.waitForLine(
      ({ text, stream }) => {
        const value = stream === 'stdout' ? parseObject(text) : undefined;
        return value !== undefined && isReadyLine(value) ? value : undefined;
      },
      { what: 'was not ready', timeoutMs: options.readyTimeoutMs ?? 30_000 },
    );
    return { process: child, ready, stop: async () => child.stop(), kill: async () => child.kill() };
  } catch (cause) {
    await child.kill();
    throw cause;
  }
}

/** What became of a process that was meant to end by itself. */
export interface ProcessResult extends ProcessExit {
  /** Its last 1,000 lines, of both streams together. */
  readonly lines: readonly OutputLine[];
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a process to its end: commands, and starts that must fail.
 * @param options.timeoutMs After this long it is killed, and the result's `signal` is SIGKILL. 30 seconds by default.
 * @throws ProcessError when it cannot be started.
 */
export async function runProcess(options: ProcessCommand & { timeoutMs?: number }): Promise<ProcessResult> {
  const child = await spawnCommand(options);
  const deadline = setTimeout(() => void child.kill(), options.timeoutMs ?? 30_000);
  const exit = await child.exited;
  clearTimeout(deadline);
  const textOf = (stream: OutputLine['stream']): string =>
    child.lines
      .filter((line) => line.stream === stream)
      .map((line) => line.text)
      .join('\n');
  return { ...exit, lines: child.lines, stdout: textOf('stdout'), stderr: textOf('stderr') };
}

async function spawnCommand(options: ProcessCommand): Promise<SupervisedProcess> {
  const entry = options.entry instanceof URL ? fileURLToPath(options.entry) : options.entry;
  const command = entry === undefined ? options.command : process.execPath;
  if (command === undefined) throw new TypeError('Either entry or command must be given');
  return SupervisedProcess.spawn({
    name: options.name ?? entry ?? command,
    command,
    args: [...(entry === undefined ? [] : [...(options.execArgv ?? []), entry]), ...(options.args ?? [])],
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    account: options.account,
    stopTimeoutMs: options.stopTimeoutMs ?? 30_000,
  });
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
