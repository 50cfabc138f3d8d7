import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished } from 'vitest';
import {
  createPushQueue,
  type Lane,
  lanes,
  type PushJobData,
  type PushQueue,
  type PushQueueOptions,
  pushJobDataSchema,
  totalsKey,
} from '../src/index.ts';

/** A push queue under a prefix of its own, and eyes on what it leaves in Redis. */
export interface QueueProbe {
  readonly queue: PushQueue;
  readonly redis: Redis;
  readonly prefix: string;
  /** Another push queue on the same keys, as another process would have. */
  another(options?: Partial<PushQueueOptions>): PushQueue;
  /** Push jobs of an app in any state, checked against their schema, oldest first. */
  jobs(app: string, lane?: Lane): Promise<PushJobData[]>;
  /** How many notifications of an app are in its queues; the sums that are kept beside them must say the same. */
  enqueued(app: string): Promise<number>;
}

export function probeQueue(options: Partial<PushQueueOptions> = {}): QueueProbe {
  const url = inject('redisUrl');
  const prefix = `${inject('redisPrefix')}-${randomUUID()}`;
  const redis = new Redis(url);
  const closers: (() => Promise<unknown>)[] = [() => redis.quit()];
  onTestFinished(async () => {
    await Promise.all(closers.map((close) => close()));
  });
  const another: QueueProbe['another'] = (more = {}) => {
    const queue = createPushQueue({ redis: url, prefix, ...options, ...more });
    closers.push(() => queue.close());
    return queue;
  };
  const jobs: QueueProbe['jobs'] = async (app, lane = 'transactional') => {
    const bull = new Queue(lane, { connection: redis, prefix: `${prefix}:{${app}}`, skipMetasUpdate: true });
    const found = await bull.getJobs(['waiting', 'delayed', 'active', 'prioritized'], 0, -1, true);
    await bull.close();
    return found.map((job) => pushJobDataSchema.parse(job.data));
  };
  return {
    queue: another(),
    redis,
    prefix,
    another,
    jobs,
    enqueued: async (app) => {
      const totals = await redis.hgetall(totalsKey(prefix, app));
      let enqueued = 0;
      for (const lane of lanes) {
        const count = (await jobs(app, lane)).reduce((sum, job) => sum + job.count, 0);
        expect(Number(totals[`enqueued:${lane}`] ?? 0), `sum of lane ${lane}`).toBe(count);
        enqueued += count;
      }
      return enqueued;
    },
  };
}

/** The token at a position of a job, hex. */
export function tokenAt(job: PushJobData, position: number): string {
  const lengths = Array.from({ length: job.count }, (_, at) =>
    typeof job.tokenLength === 'number' ? job.tokenLength : job.tokenLength[at]!,
  );
  const from = lengths.slice(0, position).reduce((sum, length) => sum + length, 0);
  return Buffer.from(job.tokens, 'base64')
    .subarray(from, from + lengths[position]!)
    .toString('hex');
}

/** The payload at a position of a job. */
export function payloadAt(job: PushJobData, position: number): unknown {
  const place = job.payloadOf?.[position] ?? (job.payloadLength.length === 1 ? 0 : position);
  const from = job.payloadLength.slice(0, place).reduce((sum, length) => sum + length, 0);
  const bytes = Buffer.from(job.payloads, 'base64').subarray(from, from + job.payloadLength[place]!);
  return JSON.parse(bytes.toString('utf8'));
}

/** The value of a column at a position. */
export function at<T>(column: T | T[], position: number): T {
  return Array.isArray(column) ? column[position]! : column;
}
