import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

// What a test run starts must die with it, also when it dies by SIGKILL and can run no hook of its own.
//
// The guard is a tiny shell whose standard input is a pipe that only this process holds. It is told which process
// to watch over. When the pipe ends without the word `release`, this process is gone, whatever the reason: the
// guard then ends the watched process, removes the folder and runs the last command. It ignores the terminal's signals and leads a
// session of its own, so that Ctrl-C does not reach it before it has done its work.

const guardScript = `
trap '' HUP INT TERM
pid=0 signal=KILL
while read -r word first second; do
  case $word in
    watch) pid=$first signal=$second ;;
    release) exit 0 ;;
  esac
done
if [ "$pid" != 0 ] && kill -s "$signal" -- "$pid" 2>/dev/null; then
  tries=0
  while kill -s 0 -- "$pid" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -s KILL -- "$pid" 2>/dev/null
fi
folder=$1
shift
if [ -n "$folder" ]; then rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }; fi
if [ $# -gt 0 ]; then "$@"; fi
`;

/** How a watched process is ended: `INT`, `TERM`, `QUIT` or `KILL`; anything milder than KILL gets 5 seconds. */
export type GuardSignal = 'INT' | 'TERM' | 'QUIT' | 'KILL';

/** Ends a process, removes a folder and runs a command when the process that opened the guard is gone. */
export class ProcessGuard {
  readonly #shell: ChildProcess;
  readonly #exited: Promise<unknown>;

  /**
   * All for the case that this process dies before `release`:
   * @param options.folder Is removed, with all it holds.
   * @param options.lastCommand Is run last: a program and its arguments.
   */
  constructor({ folder = '', lastCommand = [] }: { folder?: string; lastCommand?: readonly string[] } = {}) {
    this.#shell = spawn('/bin/sh', ['-c', guardScript, 'pushfleet-guard', folder, ...lastCommand], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      detached: true,
    });
    this.#exited = once(this.#shell, 'exit').catch(() => undefined);
    // A guard that could not start, or was killed, leaves the run as it would be without one.
    this.#shell.stdin?.on('error', () => undefined);
    // Neither the shell nor the pipe to it may hold the run open.
    this.#shell.unref();
    (this.#shell.stdin as unknown as { unref?(): void } | null)?.unref?.();
  }

  /**
   * Names the process to end, in place of the one before.
   * @param pid As for kill(2): a negative number means the whole process group.
   */
  watch(pid: number, signal: GuardSignal = 'KILL'): void {
    this.#write(`watch ${pid} ${signal}`);
  }

  /** Forgets the process: it has exited, and its number may be given to another. */
  unwatch(): void {
    this.#write('watch 0');
  }

  /** Ends the guard; nothing is killed or removed. */
  async release(): Promise<void> {
    this.#write('release');
    this.#shell.ref();
    await this.#exited;
  }

  #write(line: string): void {
    if (this.#shell.stdin?.writable === true) this.#shell.stdin.write(`${line}\n`);
  }
}
