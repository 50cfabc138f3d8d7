import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface ToolResult {
  readonly code: number;
  /** Standard output and standard error. */
  readonly stdout: string;
  readonly stderr: string;
}

/** How long a tool may take, milliseconds: an engine that hangs must not hang the check. */
const toolTimeoutMs = 60_000;

/** Runs a program of this machine in the repository; undefined where it is not there. */
export async function runTool(
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<ToolResult | undefined> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: toolTimeoutMs });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  try {
    const [[code], [stdout, stderr]] = await Promise.all([
      once(child, 'close') as Promise<[number | null]>,
      output,
    ]);
    return { code: code ?? 1, stdout, stderr };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
