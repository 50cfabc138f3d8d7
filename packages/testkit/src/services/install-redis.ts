import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findRedisProgram } from './redis-program.ts';

const run = promisify(execFile);

const repository = fileURLToPath(new URL('../../../../', import.meta.url));

/** How long the distribution's package may take, milliseconds. */
const installTimeoutMs = 10 * 60_000;

/**
 * Unpacks the distribution's package under `.pushfleet`, as the set-up of `npm test` does. Starts nothing.
 * @returns The path of the program; undefined where the package cannot be had: `say` got the reason.
 */
export async function installRedis(say: (line: string) => void): Promise<string | undefined> {
  const program = join(repository, 'scripts', 'ensure-redis.mjs');
  try {
    await run(process.execPath, [program], { timeout: installTimeoutMs });
  } catch (cause) {
    say((cause as { stderr?: string }).stderr?.trim() ?? String(cause));
    return undefined;
  }
  return findRedisProgram();
}
