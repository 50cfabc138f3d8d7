import { readRedisMemory, redisFullAt, usedMemoryShare } from '@pushfleet/push-queue';
import type { Cluster, Redis } from 'ioredis';
import { Problem } from './http/problem.ts';

/** Between readings, milliseconds. */
const usualReadingMs = 1_000;

export interface RedisRoomOptions {
  readonly redis: Redis | Cluster;
  readonly readingMs?: number;
}

/** Whether Redis has room for more to send. Where that cannot be read it has, as it has without a limit. */
export class RedisRoom {
  readonly #options: RedisRoomOptions;
  readonly #timer: NodeJS.Timeout;
  #isReading = false;
  #share = 0;

  constructor(options: RedisRoomOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#read(), options.readingMs ?? usualReadingMs);
    this.#timer.unref();
    void this.#read();
  }

  /** @throws Problem `backpressure` */
  check(): void {
    if (!this.isFull) return;
    const percent = Math.floor(this.#share * 100);
    const message = `Redis uses ${percent} % of its memory: sends are refused until workers have made room`;
    throw new Problem('backpressure', message, { retryAfterSeconds: 5 });
  }

  get isFull(): boolean {
    return this.#share >= redisFullAt;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#share = usedMemoryShare(await readRedisMemory(this.#options.redis).catch(() => []));
    this.#isReading = false;
  }
}
