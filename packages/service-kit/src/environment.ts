import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import type { ConfigProblem } from './config-error.ts';
import { durationSchema } from './duration.ts';
import { parseWith } from './schema-problems.ts';

export type ServiceName = 'producer' | 'worker' | 'sweeper';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What push-queue's `createRedisClient` takes: a server, a cluster, sentinels; each also over TLS. */
const redisProtocols = ['', '+cluster', '+sentinel'].flatMap((kind) => [`redis${kind}:`, `rediss${kind}:`]);

/** Where metrics and health are served by default; one per service, so that all fit on one machine. */
const adminPorts: Readonly<Record<ServiceName, number>> = { producer: 9100, worker: 9101, sweeper: 9102 };

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
}

export interface EnvironmentNeeds {
  readonly service: ServiceName;
  /** Whether the service needs Postgres. */
  readonly database?: boolean;
}

const portText = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number, or 0 for a free one')
  .transform(Number)
  .refine((port) => port <= 65_535, 'must be at most 65535');

/** Reads the environment; gives the configuration, or everything that is wrong with it. */
export async function readEnvironment(
  env: NodeJS.ProcessEnv,
  needs: EnvironmentNeeds,
): Promise<{ readonly config?: EnvironmentConfig; readonly problems: readonly ConfigProblem[] }> {
  const problems: ConfigProblem[] = [];
  const secret = async (name: string, ...protocols: readonly string[]): Promise<string> => {
    const read = await readSecret(env, name);
    if (typeof read === 'string') {
      if (URL.canParse(read) && protocols.includes(new URL(read).protocol)) return read;
      const wanted = protocols.map((protocol) => `${protocol}//`).join(' or ');
      // Never the value: it may hold a password.
      problems.push({ field: name, message: `must be a URL that begins with ${wanted}` });
    } else {
      problems.push(read);
    }
    return '';
  };
  const redisUrl = await secret('REDIS_URL', ...redisProtocols);
  const databaseUrl =
    needs.database === true ? await secret('DATABASE_URL', 'postgres:', 'postgresql:') : undefined;
  const schema = z.object({
    PUSHFLEET_REDIS_PREFIX: z
      .string()
      .regex(/^[^{}:\s]+$/, 'must not contain braces, colons or spaces')
      .default('pushfleet'),
    PUSHFLEET_CONFIG: z.string().min(1).default('pushfleet.yaml'),
    PUSHFLEET_LOG_LEVEL: z.enum(logLevels).default('info'),
    PUSHFLEET_HOST: z.string().min(1).default('127.0.0.1'),
    PUSHFLEET_PORT: portText.default(8080),
    PUSHFLEET_ADMIN_HOST: z.string().min(1).default('127.0.0.1'),
    PUSHFLEET_ADMIN_PORT: portText.default(adminPorts[needs.service]),
    PUSHFLEET_DRAIN_TIMEOUT: durationSchema.default(25_000),
    PUSHFLEET_LOCK_DURATION: durationSchema
      .refine((ms) => ms >= 1_000, 'must be at least 1s: a lock is renewed three times in its life')
      .default(15_000),
  });
  const parsed = parseWith(schema, env);
  problems.push(...parsed.problems);
  if (parsed.value === undefined || problems.length > 0) return { problems };
  const { value } = parsed;
  return {
    config: {
      redisUrl,
      redisPrefix: value.PUSHFLEET_REDIS_PREFIX,
      databaseUrl,
      configPath: resolve(value.PUSHFLEET_CONFIG),
      logLevel: value.PUSHFLEET_LOG_LEVEL,
      listen: { host: value.PUSHFLEET_HOST, port: value.PUSHFLEET_PORT },
      admin: { host: value.PUSHFLEET_ADMIN_HOST, port: value.PUSHFLEET_ADMIN_PORT },
      drainTimeoutMs: value.PUSHFLEET_DRAIN_TIMEOUT,
      lockDurationMs: value.PUSHFLEET_LOCK_DURATION,
    },
    problems,
  };
}

/** A secret comes from its variable, or from the file that the variable with `_FILE` names. */
export async function readSecret(env: NodeJS.ProcessEnv, name: string): Promise<string | ConfigProblem> {
  const value = env[name] || undefined;
  const path = env[`${name}_FILE`] || undefined;
  if (value !== undefined && path !== undefined) {
    return { field: name, message: `is set, and so is ${name}_FILE: only one of them may be` };
  }
  if (value !== undefined) return value;
  if (path === undefined) return { field: name, message: `is missing (or ${name}_FILE, which names a file)` };
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    return { field: `${name}_FILE`, message: `cannot be read: ${(error as Error).message}` };
  }
}
