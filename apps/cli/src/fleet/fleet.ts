import type { AppControlOptions } from '@pushfleet/push-queue';
import { FleetFacts } from '@pushfleet/push-queue/outcomes';
import { loadConfig, type ServiceConfig } from '@pushfleet/service-kit';
import type { Terminal } from '../terminal.ts';
import { unknownApp } from './find-app.ts';
import { openRedis } from './open-redis.ts';

/** What commands about the fleet work with: the services' own configuration, and Redis. */
export interface Fleet {
  readonly config: ServiceConfig;
  readonly control: AppControlOptions;
  readonly facts: FleetFacts;
}

/** In the help of every command that works on Redis. */
export const fleetHelp = `
Reads REDIS_URL (or REDIS_URL_FILE) and PUSHFLEET_CONFIG, as the services do.`;

/** Opens what a command needs, and closes it. @throws ConfigError, CliError `redis-unavailable` */
export async function withFleet<T>(terminal: Terminal, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  const config = await loadConfig(terminal.env, { service: 'producer' });
  const redis = await openRedis(config.redisUrl);
  const facts = new FleetFacts({ redis: config.redisUrl, prefix: config.redisPrefix });
  try {
    return await work({ config, control: { redis, prefix: config.redisPrefix }, facts });
  } finally {
    await facts.close();
    redis.disconnect();
  }
}

/** The apps that are meant: the one named, or all. @throws CliError `app-unknown` */
export function chosenApps({ config }: Fleet, app: string | undefined): string[] {
  const ids = config.apps.map(({ id }) => id);
  if (app === undefined) return ids;
  if (ids.includes(app)) return [app];
  throw unknownApp(app, config.configPath, config.apps);
}
