import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type StartedProcess, startProcess } from '../processes/start-process.ts';
import type { Simulator } from '../simulator/start-simulator.ts';

// The services as processes of their own, configured as an operator would: by environment and pushfleet.yaml.

const entries = {
  producer: new URL('../../../../apps/producer/src/main.ts', import.meta.url),
  worker: new URL('../../../../apps/worker/src/main.ts', import.meta.url),
  sweeper: new URL('../../../../apps/feedback-sweeper/src/main.ts', import.meta.url),
} as const;

export interface ServiceEnvironment {
  readonly redisUrl: string;
  readonly redisPrefix: string;
  /** Absent: the service gets none. */
  readonly databaseUrl?: string | undefined;
  /** Path of pushfleet.yaml. */
  readonly configPath: string;
  /** More variables; they win. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Flags for Node.js itself. */
  readonly execArgv?: readonly string[];
}

export interface StartedService extends StartedProcess {
  /** Where it serves what it is there for; 0 where it serves nothing. */
  readonly port: number;
  readonly adminPort: number;
}

/**
 * Starts a service at free ports, and waits until it is ready.
 * @throws ProcessError when it exits first or is not ready in time.
 */
export async function startService(
  name: keyof typeof entries,
  { redisUrl, redisPrefix, databaseUrl, configPath, env = {}, execArgv = [] }: ServiceEnvironment,
): Promise<StartedService> {
  const started = await startProcess({
    name: `the ${name}`,
    entry: entries[name],
    execArgv,
    env: {
      REDIS_URL: redisUrl,
      REDIS_URL_FILE: undefined,
      DATABASE_URL: databaseUrl,
      DATABASE_URL_FILE: undefined,
      PUSHFLEET_REDIS_PREFIX: redisPrefix,
      PUSHFLEET_CONFIG: configPath,
      PUSHFLEET_PORT: '0',
      PUSHFLEET_ADMIN_PORT: '0',
      ...env,
    },
  });
  const portOf = (field: string): number => {
    const port = started.ready[field];
    return typeof port === 'number' ? port : 0;
  };
  return { ...started, port: portOf('port'), adminPort: portOf('adminPort') };
}

/** An app of pushfleet.yaml that sends to a simulator with its own client certificate; `more` adds to it and wins. */
export function simulatorApp(
  simulator: Pick<Simulator, 'binaryPort' | 'feedbackPort' | 'http2Port' | 'tlsDir'>,
  more: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const isHttp2 = more.transport === 'http2';
  return {
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'binary',
    gateway: {
      host: 'localhost',
      port: isHttp2 ? simulator.http2Port : simulator.binaryPort,
      ca: join(simulator.tlsDir, 'ca.pem'),
    },
    ...(isHttp2 ? {} : { feedback: { host: 'localhost', port: simulator.feedbackPort, interval: '1h' } }),
    credential: {
      cert: join(simulator.tlsDir, 'client.pem'),
      key: join(simulator.tlsDir, 'client-key.pem'),
    },
    ...more,
  };
}

/** Writes `pushfleet.yaml` into a folder; gives its path. JSON is YAML. */
export async function writeFleetFile(
  folder: string,
  apps: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<string> {
  const path = join(folder, 'pushfleet.yaml');
  await writeFile(path, `${JSON.stringify({ apps }, null, 2)}\n`);
  return path;
}
