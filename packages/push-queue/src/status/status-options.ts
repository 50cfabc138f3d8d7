import type { Cluster, Redis } from 'ioredis';

export interface StatusOptions {
  /** Any client: reads go out as they come, those of one app in one slot. */
  readonly redis: Redis | Cluster;
  /** What all keys begin with. */
  readonly prefix: string;
}
