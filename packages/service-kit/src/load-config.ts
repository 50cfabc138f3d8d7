import { ConfigError } from './config-error.ts';
import { type EnvironmentConfig, type EnvironmentNeeds, readEnvironment } from './environment.ts';
import type { FleetApp } from './fleet-app.ts';
import { readFleetFile } from './fleet-file.ts';
import { unknownVariables } from './settings/unknown-variables.ts';
import { readTracingEnvironment, type TracingConfig } from './tracing/tracing-environment.ts';

/** Everything a service is configured by. */
export interface ServiceConfig extends EnvironmentConfig {
  readonly apps: readonly FleetApp[];
  /** Undefined: traces are off. */
  readonly tracing: TracingConfig | undefined;
}

export interface LoadConfigOptions extends EnvironmentNeeds {}

/**
 * Reads the environment and the configuration file that it names.
 * @throws ConfigError with all problems of both at once
 */
export async function loadConfig(env: NodeJS.ProcessEnv, options: LoadConfigOptions): Promise<ServiceConfig> {
  const environment = await readEnvironment(env, options);
  const tracing = await readTracingEnvironment(env);
  // Also where the environment has problems, so that the file's are said in the same breath.
  const path = environment.config?.configPath ?? (env.PUSHFLEET_CONFIG || 'pushfleet.yaml');
  const fleet = await readFleetFile({ path });
  const problems = [
    ...environment.problems,
    ...unknownVariables(env, fleet.variables),
    ...tracing.problems,
    ...fleet.problems,
  ];
  if (problems.length > 0 || environment.config === undefined || fleet.apps === undefined) {
    throw new ConfigError(problems);
  }
  return { ...environment.config, apps: fleet.apps, tracing: tracing.config };
}
