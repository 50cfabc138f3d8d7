import { byLane, type Lane } from '@pushfleet/push-queue';
import { WorkerLink } from '@pushfleet/push-queue/worker';
import { type Logger, ReachLog } from '@pushfleet/service-kit';

export interface WorkerRedisOptions {
  readonly redisUrl: string;
  readonly redisPrefix: string;
  /** How long a lock lives without renewal, milliseconds. */
  readonly lockDurationMs: number;
  readonly logger: Logger;
}

/**
 * A worker's connections to Redis for all apps: one for each lane, so that what bulk reads does not delay the
 * transactional lane. Says whether Redis answers, and logs when that changes.
 */
export class WorkerRedis {
  readonly links: Readonly<Record<Lane, WorkerLink>>;
  readonly #reach: ReachLog;

  private constructor({ redisUrl, redisPrefix, lockDurationMs, logger }: WorkerRedisOptions) {
    const stalledIntervalMs = lockDurationMs / 2;
    const create = () =>
      new WorkerLink({ redis: redisUrl, prefix: redisPrefix, lockDurationMs, stalledIntervalMs });
    this.links = byLane(create);
    this.#reach = new ReachLog(logger, 'this worker takes no push jobs until it can');
  }

  /** @throws PushQueueError when Redis cannot be reached within `timeoutMs` */
  static async open(options: WorkerRedisOptions, timeoutMs: number): Promise<WorkerRedis> {
    const redis = new WorkerRedis(options);
    try {
      await Promise.all(redis.all.map(async (link) => link.open(timeoutMs)));
    } catch (error) {
      await redis.close();
      throw error;
    }
    return redis;
  }

  get all(): readonly WorkerLink[] {
    return Object.values(this.links);
  }

  get isReady(): boolean {
    return this.all.every(({ isReady }) => isReady);
  }

  /** Why nothing can be taken or written now; empty when it can. */
  get problems(): readonly string[] {
    if (!this.isReady) return ['Redis cannot be reached'];
    const refusals = new Set(this.all.flatMap(({ refusal }) => refusal ?? []));
    return [...refusals].map((refusal) => `Redis takes no writes: ${refusal}`);
  }

  /** Logs once when Redis can be reached no more, and once when it can again. To be called now and then. */
  logReach(): void {
    this.#reach.update(this.isReady);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(async (link) => link.close()));
  }
}
