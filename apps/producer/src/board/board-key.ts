import { ConfigError, readSecret } from '@pushfleet/service-kit';

const shortestKey = 16;

/**
 * Reads `PUSHFLEET_BOARD_KEY` (or `PUSHFLEET_BOARD_KEY_FILE`); undefined: there is to be no board.
 * @throws ConfigError
 */
export async function readBoardKey(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (!env.PUSHFLEET_BOARD_KEY && !env.PUSHFLEET_BOARD_KEY_FILE) return undefined;
  const key = await readSecret(env, 'PUSHFLEET_BOARD_KEY');
  if (typeof key !== 'string') throw new ConfigError([key]);
  if (key.length >= shortestKey) return key;
  const message = `must be at least ${shortestKey} characters long`;
  throw new ConfigError([{ field: 'PUSHFLEET_BOARD_KEY', message }]);
}
