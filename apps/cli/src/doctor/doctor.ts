import type { Redis } from 'ioredis';
import { CliError } from '../cli-error.ts';
import { openRedis, primariesOf } from '../fleet/open-redis.ts';
import { checkApps } from './check-apps.ts';
import { type ClockReading, checkClock, readClock } from './check-clock.ts';
import { checkConfiguration } from './check-configuration.ts';
import { checkPostgres } from './check-postgres.ts';
import { checkRedisInfo } from './check-redis.ts';
import { type Finding, findingsAbout } from './finding.ts';

/**
 * Looks at everything that Pushfleet needs, and changes nothing. What is wrong with one part does not keep the others
 * from being looked at.
 * @param now Epoch milliseconds, of this machine.
 */
export async function examine(env: NodeJS.ProcessEnv, now: () => number = Date.now): Promise<Finding[]> {
  const { findings, redisUrl, databaseUrl, apps } = await checkConfiguration(env);
  const [ofApps, redis, postgres] = await Promise.all([
    checkApps(apps, env, now()),
    redisUrl === undefined ? undefined : checkRedis(redisUrl, now),
    databaseUrl === undefined ? undefined : checkPostgres(databaseUrl, now),
  ]);
  const clocks = [...(redis?.clocks ?? []), postgres?.clock].filter((clock) => clock !== undefined);
  return [
    ...findings,
    ...ofApps,
    ...(redis?.findings ?? []),
    ...(postgres?.findings ?? []),
    ...checkClock(clocks),
  ];
}

async function checkRedis(
  url: string,
  now: () => number,
): Promise<{ readonly findings: readonly Finding[]; readonly clocks: readonly ClockReading[] }> {
  const { problem } = findingsAbout('redis');
  try {
    const client = await openRedis(url);
    try {
      const nodes = await Promise.all(primariesOf(client).map(async (node) => checkNode(node, now)));
      return { findings: nodes.flatMap(({ findings }) => findings), clocks: nodes.map(({ clock }) => clock) };
    } finally {
      client.disconnect();
    }
  } catch (error) {
    const message = error instanceof CliError ? error.message : `Redis: ${(error as Error).message}`;
    return {
      findings: [
        problem(
          message,
          'Nothing can be enqueued or sent without it. Look at REDIS_URL, and whether it runs.',
        ),
      ],
      clocks: [],
    };
  }
}

async function checkNode(
  node: Redis,
  now: () => number,
): Promise<{ findings: Finding[]; clock: ClockReading }> {
  const clock = await readClock('Redis', now, async () => {
    const [seconds, microseconds] = await node.time();
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000;
  });
  return { findings: checkRedisInfo(await node.info()), clock };
}
