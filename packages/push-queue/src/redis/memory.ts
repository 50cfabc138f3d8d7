import type { Cluster, Redis } from 'ioredis';

// What `INFO memory` says of each primary of Redis.

/** Of the memory that Redis may use: beyond it nothing is added, so that workers can finish what there is. */
export const redisFullAt = 0.9;

export interface RedisMemory {
  readonly usedBytes: number;
  /** Its limit, `maxmemory`; 0: it has none. */
  readonly limitBytes: number;
  /** What it may use: its limit, else the memory of its machine; undefined: it does not say. */
  readonly memoryBytes: number | undefined;
}

/** How much memory a node of Redis uses and may use. */
export interface NodeMemory extends RedisMemory {
  /** `host:port`. */
  readonly node: string;
}

/**
 * Of one server, or of the primaries of a cluster that answer. Rejects with what Redis says, or the client, when none
 * does.
 */
export async function readRedisMemory(redis: Redis | Cluster): Promise<NodeMemory[]> {
  const nodes = redis.isCluster ? (redis as Cluster).nodes('master') : [redis as Redis];
  const read = await Promise.allSettled(nodes.map((node) => readNode(node)));
  const answers = read.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
  const failed = read.find((each) => each.status === 'rejected');
  if (answers.length === 0 && failed !== undefined) throw failed.reason;
  return answers;
}

async function readNode(node: Redis): Promise<NodeMemory> {
  const memory = parseRedisMemory(await node.info('memory'));
  return { node: `${node.options.host}:${node.options.port}`, ...memory };
}

/** @param info The answer to `INFO memory`. */
export function parseRedisMemory(info: string): RedisMemory {
  const bytes = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const limitBytes = bytes('maxmemory');
  return {
    usedBytes: bytes('used_memory'),
    limitBytes,
    memoryBytes: limitBytes || bytes('total_system_memory') || undefined,
  };
}

/** Memory that an app can count on wherever its keys lie, bytes; undefined: no node says. */
export function redisMemoryBytes(nodes: readonly RedisMemory[]): number | undefined {
  const sizes = nodes.map(({ memoryBytes }) => memoryBytes).filter((bytes) => bytes !== undefined);
  return sizes.length === 0 ? undefined : Math.min(...sizes);
}

/** Share of its limit that the fullest node uses; 0 where none has one. */
export function usedMemoryShare(nodes: readonly RedisMemory[]): number {
  const shares = nodes.map(({ usedBytes, limitBytes }) => (limitBytes === 0 ? 0 : usedBytes / limitBytes));
  return Math.max(0, ...shares);
}
