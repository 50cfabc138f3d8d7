import { resolve } from 'node:path';
import { ConfigError, type FleetApp, nearestName, readFleetFile } from '@pushfleet/service-kit';
import { CliError } from '../cli-error.ts';

/** In the help of the option that names the configuration file. */
export const configHelp = 'the configuration file; by default $PUSHFLEET_CONFIG or pushfleet.yaml';

/**
 * The app of that name in the configuration file, for a command that shows its credential.
 * @throws ConfigError; CliError `app-unknown`
 */
export async function findApp(
  id: string,
  config: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<FleetApp> {
  const path = resolve(config ?? env.PUSHFLEET_CONFIG ?? 'pushfleet.yaml');
  const { apps, problems } = await readFleetFile({ path });
  if (apps === undefined) throw new ConfigError(problems);
  const app = apps.find((candidate) => candidate.id === id);
  if (app !== undefined) return app;
  throw unknownApp(id, path, apps);
}

/** @param path Of the configuration file, which names `apps`. */
export function unknownApp(id: string, path: string, apps: readonly FleetApp[]): CliError {
  const names = apps.map((app) => app.id);
  const near = nearestName(id, names);
  const all = `there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  const advice = near === undefined ? all : `did you mean ${near}?`;
  return new CliError('app-unknown', `There is no app ${id} in ${path}: ${advice}`);
}
