import type { Cluster, Redis } from 'ioredis';
import { PushQueueError } from '../push-queue-error.ts';
import { readRedisMemory, redisFullAt, redisMemoryBytes, usedMemoryShare } from './memory.ts';

/** Between readings while there is something to write, milliseconds. */
const readingMs = 1_000;

/** How full Redis is: looked at in passing, since no write waits for it while there is room. */
export class QueueMemory {
  readonly #client: Redis | Cluster;
  #bytes: number | undefined;
  /** Share of its limit that is used; 0 without a limit, or where Redis does not say. */
  #share = 0;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(client: Redis | Cluster) {
    this.#client = client;
    (client as Redis).on('ready', () => void this.#read());
  }

  /** What Redis may use; undefined: it has not said. */
  get bytes(): number | undefined {
    return this.#bytes;
  }

  /** Undefined: there is room. Else to be awaited: rejects with `PushQueueError` `backpressure`, if there still is none. */
  check(): Promise<void> | undefined {
    if (this.#share >= redisFullAt) return this.#refuse();
    if (performance.now() - this.#readAtMs > readingMs) void this.#read();
    return undefined;
  }

  async #refuse(): Promise<void> {
    await this.#read();
    if (this.#share < redisFullAt) return;
    const percent = Math.floor(this.#share * 100);
    throw new PushQueueError(
      'backpressure',
      `Redis uses ${percent} % of its memory: sends are refused until workers have made room`,
    );
  }

  async #read(): Promise<void> {
    this.#readAtMs = performance.now();
    // Without the right to ask, or a connection to ask over, nothing is known.
    const nodes = await readRedisMemory(this.#client).catch(() => []);
    this.#share = usedMemoryShare(nodes);
    this.#bytes = redisMemoryBytes(nodes) ?? this.#bytes;
  }
}
