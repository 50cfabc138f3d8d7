import { resolve } from 'node:path';
import { adminPorts, type ServiceName } from './admin-ports.ts';
import type { ConfigProblem } from './config-error.ts';
import type { LogLevel } from './log/log-level.ts';
import { readSecretVariable, readVariables } from './settings/read-variables.ts';
import { commonVariables, connectionVariables } from './settings/variables.ts';

/** What the environment says, apart from where the configuration file is. */
export interface EnvironmentConfig {
  /** A secret: it may hold a password. */
  readonly redisUrl: string;
  /** What every key in Redis begins with. */
  readonly redisPrefix: string;
  /** A secret, as above. Absent where the service knows no Postgres. */
  readonly databaseUrl: string | undefined;
  /** Absolute. */
  readonly configPath: string;
  readonly logLevel: LogLevel;
  /** Where the service itself listens; only the producer does. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Metrics and health. Port 0: a free one. */
  readonly admin: { readonly host: string; readonly port: number };
  /** From the first signal to the moment at which what is left goes back to the queue. */
  readonly drainTimeoutMs: number;
  /** How long a push job stays a worker's without a sign of life: what a crash holds up. */
  readonly lockDurationMs: number;
  /** Connections of one worker to gateways, at most, beyond the first of each app and lane. */
  readonly connections: number;
}

export interface EnvironmentNeeds {
  readonly service: ServiceName;
  /** Whether the service needs Postgres. */
  readonly database?: boolean;
}

/** Reads the environment; gives the configuration, or everything that is wrong with it. */
export async function readEnvironment(
  env: NodeJS.ProcessEnv,
  needs: EnvironmentNeeds,
): Promise<{ readonly config?: EnvironmentConfig; readonly problems: readonly ConfigProblem[] }> {
  const problems: ConfigProblem[] = [];
  const secret = async (name: keyof typeof connectionVariables): Promise<string> => {
    const read = await readSecretVariable(env, name, connectionVariables[name]);
    if (typeof read === 'object') problems.push(read);
    return typeof read === 'string' ? read : '';
  };
  const redisUrl = await secret('REDIS_URL');
  const databaseUrl = needs.database === true ? await secret('DATABASE_URL') : undefined;
  const { values, problems: others } = readVariables(env, commonVariables);
  problems.push(...others);
  if (values === undefined || problems.length > 0) return { problems };
  return {
    config: {
      redisUrl,
      redisPrefix: values.PUSHFLEET_REDIS_PREFIX,
      databaseUrl,
      configPath: resolve(values.PUSHFLEET_CONFIG),
      logLevel: values.PUSHFLEET_LOG_LEVEL,
      listen: { host: values.PUSHFLEET_HOST, port: values.PUSHFLEET_PORT },
      admin: {
        host: values.PUSHFLEET_ADMIN_HOST,
        port: values.PUSHFLEET_ADMIN_PORT ?? adminPorts[needs.service],
      },
      drainTimeoutMs: values.PUSHFLEET_DRAIN_TIMEOUT,
      lockDurationMs: values.PUSHFLEET_LOCK_DURATION,
      connections: values.PUSHFLEET_CONNECTIONS,
    },
    problems,
  };
}
