import { readBuildInfo } from '@pushfleet/service-kit';
import type { Redis } from 'ioredis';
import { CliError } from '../cli-error.ts';
import { openRedis, primariesOf } from '../fleet/open-redis.ts';
import { checkApi } from './check-api.ts';
import { checkApps } from './check-apps.ts';
import { type ClockReading, checkClock, readClock } from './check-clock.ts';
import { checkConfiguration } from './check-configuration.ts';
import { checkFleet } from './check-fleet.ts';
import { checkPostgres } from './check-postgres.ts';
import { checkRedisInfo } from './check-redis.ts';
import { diskFolders, judgeDisk, readDisks } from './check-space.ts';
import { type Finding, findingsAbout } from './finding.ts';

/**
 * Looks at everything that Pushfleet needs, and changes nothing. What is wrong with one part does not keep the others
 * from being looked at.
 * @param now Epoch milliseconds, of this machine.
 */
export async function examine(env: NodeJS.ProcessEnv, now: () => number = Date.now): Promise<Finding[]> {
  const { findings, redisUrl, redisPrefix, databaseUrl, apps } = await checkConfiguration(env);
  const fleet = { prefix: redisPrefix, apps: apps.map(({ id }) => id) };
  const [ofApps, redis, postgres, api, disks] = await Promise.all([
    checkApps(apps, env, now()),
    redisUrl === undefined ? undefined : checkRedis(redisUrl, fleet, now),
    databaseUrl === undefined ? undefined : checkPostgres(databaseUrl, now),
    checkApi(env, now),
    readDisks(diskFolders(process.cwd())),
  ]);
  const clocks = [...(redis?.clocks ?? []), postgres?.clock, api.clock].filter(
    (clock) => clock !== undefined,
  );
  const { version, commit, node } = readBuildInfo();
  return [
    findingsAbout('version').ok(`${version}, commit ${commit}, Node.js ${node}`),
    ...findings,
    ...ofApps,
    ...(redis?.findings ?? []),
    ...(postgres?.findings ?? []),
    ...api.findings,
    ...disks.map(judgeDisk),
    ...checkClock(clocks),
  ];
}

interface FleetNames {
  readonly prefix: string;
  readonly apps: readonly string[];
}

async function checkRedis(
  url: string,
  fleet: FleetNames,
  now: () => number,
): Promise<{ readonly findings: readonly Finding[]; readonly clocks: readonly ClockReading[] }> {
  const { problem } = findingsAbout('redis');
  try {
    const client = await openRedis(url);
    try {
      const nodes = await Promise.all(primariesOf(client).map(async (node) => checkNode(node, now)));
      const ofFleet = fleet.apps.length === 0 ? [] : await checkFleet(client, { url, ...fleet }, now());
      return {
        findings: [...nodes.flatMap(({ findings }) => findings), ...ofFleet],
        clocks: nodes.map(({ clock }) => clock),
      };
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
