import { runProgram } from '../src/program.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The one line of JSON on standard output. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Runs the program in this process. */
export async function runCli(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliRun> {
  const written = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof written) => ({
    write: (text: string) => {
      written[name] += text;
    },
  });
  const exitCode = await runProgram(args, { env, stdout: sink('stdout'), stderr: sink('stderr') });
  return {
    exitCode,
    ...written,
    get json() {
      return JSON.parse(written.stdout) as Record<string, unknown>;
    },
  };
}
