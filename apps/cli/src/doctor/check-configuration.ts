import {
  type FleetApp,
  readEnvironment,
  readFleetFile,
  readSecret,
  readTracingEnvironment,
  unknownVariables,
} from '@pushfleet/service-kit';
import { type Finding, findingsAbout } from './finding.ts';

/** What could be read of the configuration, and what is wrong with it. What is wrong leaves the rest to be looked at. */
export interface ConfigurationCheck {
  readonly findings: readonly Finding[];
  readonly redisUrl: string | undefined;
  readonly redisPrefix: string;
  readonly databaseUrl: string | undefined;
  readonly apps: readonly FleetApp[];
}

const { ok, problem } = findingsAbout('configuration');

export async function checkConfiguration(env: NodeJS.ProcessEnv): Promise<ConfigurationCheck> {
  const environment = await readEnvironment(env, { service: 'producer', database: true });
  const path = environment.config?.configPath ?? (env.PUSHFLEET_CONFIG || 'pushfleet.yaml');
  // Whether credentials are there, and what they are, is looked at app by app.
  const fleet = await readFleetFile({ path });
  const tracing = await readTracingEnvironment(env);
  const problems = [
    ...environment.problems,
    ...unknownVariables(env, fleet.variables),
    ...tracing.problems,
    ...fleet.problems,
  ].map(({ field, message }) => problem(`${field} ${message}`, 'Services do not start with it: correct it.'));
  const apps = fleet.apps ?? [];
  return {
    findings:
      problems.length > 0
        ? problems
        : [ok(`${path} names ${apps.length === 1 ? '1 app' : `${apps.length} apps`}`)],
    redisUrl: environment.config?.redisUrl ?? (await secretOf(env, 'REDIS_URL')),
    redisPrefix: environment.config?.redisPrefix ?? (env.PUSHFLEET_REDIS_PREFIX || 'pushfleet'),
    databaseUrl: environment.config?.databaseUrl ?? (await secretOf(env, 'DATABASE_URL')),
    apps,
  };
}

async function secretOf(env: NodeJS.ProcessEnv, name: string): Promise<string | undefined> {
  const secret = await readSecret(env, name);
  return typeof secret === 'string' && URL.canParse(secret) ? secret : undefined;
}
