// What `INFO memory` says of one node of Redis.

/** Of the memory that Redis may use: beyond it nothing is added, so that workers can finish what there is. */
export const redisFullAt = 0.9;

export interface RedisMemory {
  readonly usedBytes: number;
  /** Its limit, `maxmemory`; 0: it has none. */
  readonly limitBytes: number;
  /** What it may use: its limit, else the memory of its machine; undefined: it does not say. */
  readonly memoryBytes: number | undefined;
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

/** Memory that a Redis may use, bytes; undefined: it does not say. @param info The answer to `INFO memory`. */
export function redisMemoryBytes(info: string): number | undefined {
  return parseRedisMemory(info).memoryBytes;
}

/** Share of its limit that is used; 0 without a limit. */
export function usedMemoryShare({ usedBytes, limitBytes }: RedisMemory): number {
  return limitBytes === 0 ? 0 : usedBytes / limitBytes;
}
