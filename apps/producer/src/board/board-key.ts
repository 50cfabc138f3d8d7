import { ConfigError, producerVariables, readSecretVariable } from '@pushfleet/service-kit';

/**
 * Reads `PUSHFLEET_BOARD_KEY` (or `PUSHFLEET_BOARD_KEY_FILE`); undefined: there is to be no board.
 * @throws ConfigError
 */
export async function readBoardKey(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { PUSHFLEET_BOARD_KEY } = producerVariables;
  const key = await readSecretVariable(env, 'PUSHFLEET_BOARD_KEY', PUSHFLEET_BOARD_KEY);
  if (typeof key === 'object') throw new ConfigError([key]);
  return key;
}
