import { runProcess } from '@pushfleet/testkit';

/**
 * Runs one side of a comparison in a process of its own, so that no side inherits the other's heap or compiled code.
 * The actor takes its parameters as one JSON argument and prints its result as the last line, JSON too.
 */
export async function runActor<Result>(
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  timeoutMs = 180_000,
): Promise<Result> {
  const result = await runProcess({
    entry: new URL(`./actors/${name}.ts`, import.meta.url),
    args: [JSON.stringify(parameters)],
    execArgv: profilingArgs(name),
    timeoutMs,
  });
  if (result.code !== 0) throw new Error(`The actor ${name} failed:\n${result.stderr || result.stdout}`);
  return JSON.parse(result.stdout.trim().split('\n').at(-1)!) as Result;
}

/** With PUSHFLEET_CPU_PROFILE set, a process leaves `<name>.cpuprofile` in the working directory when it exits. */
export function profilingArgs(name: string): string[] {
  return process.env.PUSHFLEET_CPU_PROFILE === undefined
    ? []
    : ['--cpu-prof', `--cpu-prof-name=${name}.cpuprofile`];
}

/** In an actor: its parameters. */
export function readParameters<Parameters>(): Parameters {
  return JSON.parse(process.argv[2]!) as Parameters;
}

/** In an actor: says its result. */
export function printResult(result: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
