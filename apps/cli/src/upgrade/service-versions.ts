import { readWorkers } from '@pushfleet/push-queue';
import { type EnvironmentConfig, readBuildInfo } from '@pushfleet/service-kit';
import { openClient } from '../api/open-client.ts';
import { openRedis } from '../fleet/open-redis.ts';
import type { Terminal } from '../terminal.ts';

/** How the version of a service stands to that of this program. */
type Standing = 'current' | 'older' | 'newer' | 'unknown';

/** A service that runs. */
export interface RunningService {
  readonly service: 'worker' | 'producer';
  /** Host and process of a worker; the address of the producer's API. */
  readonly at: string;
  /** Empty: it does not say. */
  readonly version: string;
  readonly standing: Standing;
}

/**
 * The workers that are alive, and the producer that answers the API. Sweepers do not tell their version.
 * @throws CliError `redis-unavailable`
 */
export async function readServices(
  terminal: Terminal,
  { redisUrl, redisPrefix }: EnvironmentConfig,
): Promise<RunningService[]> {
  const redis = await openRedis(redisUrl);
  try {
    const workers = await readWorkers({ redis, prefix: redisPrefix });
    return [
      ...workers.map(({ host, pid, version }) => ({
        service: 'worker' as const,
        at: `${host}, process ${pid}`,
        ...{ version, standing: standingOf(version) },
      })),
      ...(await readProducer(terminal)),
    ];
  } finally {
    redis.disconnect();
  }
}

async function readProducer(terminal: Terminal): Promise<RunningService[]> {
  const at = terminal.env.PUSHFLEET_URL || 'http://127.0.0.1:8080';
  try {
    await openClient(terminal);
    const answer = await fetch(`${at.replace(/\/+$/, '')}/openapi.json`, {
      signal: AbortSignal.timeout(5_000),
    });
    const { info } = (await answer.json()) as { readonly info?: { readonly version?: unknown } };
    const version = typeof info?.version === 'string' ? info.version : '';
    return [{ service: 'producer', at, version, standing: standingOf(version) }];
  } catch {
    // None runs there, which keeps nothing from being migrated.
    return [];
  }
}

function standingOf(version: string): Standing {
  const [theirs, ours] = [partsOf(version), partsOf(readBuildInfo().version)];
  if (theirs === undefined || ours === undefined) return 'unknown';
  const difference = theirs.map((part, index) => part - ours[index]!).find((part) => part !== 0) ?? 0;
  if (difference === 0) return 'current';
  return difference < 0 ? 'older' : 'newer';
}

function partsOf(version: string): readonly number[] | undefined {
  const [, ...parts] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  return parts.length === 3 ? parts.map(Number) : undefined;
}
