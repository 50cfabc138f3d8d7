import { z } from 'zod';
import { type Lane, lanes } from '../lane.ts';
import type { BatchId } from '../notification-id.ts';
import { jobStarts, maxJobNotifications } from '../push-job/format.ts';
import { pushJobId } from '../push-job/id.ts';
import { type PushJobProgress, pushJobProgressSchema } from '../push-job/progress.ts';
import { parseShare, shareField } from '../push-job/share.ts';
import { scheduledDelayMs } from '../redis/bullmq.ts';
import { batchTraceKey, queueKeys } from '../redis/keys.ts';
import type { StatusOptions } from './status-options.ts';

// What Redis knows of a batch: the push jobs that are still in the queue, and for some hours the trace of those that
// have ended. The rest is in Postgres.

/** A batch whose outcome reports may not be in Postgres yet. */
export interface LocatedBatch {
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  /** Notifications in all its jobs. */
  readonly size: number;
}

/** A push job that has not ended. */
export interface QueuedJob {
  /** Index in the batch of its first notification, and how many it was enqueued with. */
  readonly firstIndex: number;
  readonly count: number;
  readonly enqueuedAtMs: number;
  /** When it was meant to be sent from on; a retry that is put off does not change that. */
  readonly startMs: number;
  /** What has settled so far; undefined: no worker has said anything. */
  readonly progress: PushJobProgress | undefined;
}

const traceSchema = z.object({ lane: z.enum(lanes), size: z.int().min(1) });

/** Looks for a batch at these apps; undefined: none of them has it in Redis. */
export async function locateBatch(
  options: StatusOptions,
  apps: readonly string[],
  batch: BatchId,
): Promise<LocatedBatch | undefined> {
  const found = await Promise.all(apps.map((app) => locateInApp(options, app, batch)));
  return found.find((located) => located !== undefined);
}

async function locateInApp(
  { redis, prefix }: StatusOptions,
  app: string,
  batch: BatchId,
): Promise<LocatedBatch | undefined> {
  // The trace last: it is there before its job goes.
  const [transactional, bulk, trace] = await Promise.all([
    ...lanes.map((lane) => redis.hget(jobKey(prefix, app, lane, batch, 1), shareField)),
    redis.get(batchTraceKey(prefix, app, batch)),
  ]);
  if (typeof trace === 'string') return { app, batch, ...traceSchema.parse(JSON.parse(trace)) };
  for (const [place, text] of [transactional, bulk].entries()) {
    const share = parseShare(text);
    if (share !== undefined) return { app, batch, lane: lanes[place]!, size: share.batchSize };
  }
  return undefined;
}

/** The push jobs of a batch that have not ended, in order. @param only The one that holds this index. */
export async function readQueuedJobs(
  { redis, prefix }: StatusOptions,
  located: LocatedBatch,
  only?: number,
): Promise<QueuedJob[]> {
  const { app, lane, batch, size } = located;
  const firsts = only === undefined ? jobStarts(size).map((place) => place + 1) : [firstIndexOf(only)];
  const jobs = await Promise.all(
    firsts.map(async (firstIndex): Promise<QueuedJob | undefined> => {
      const key = jobKey(prefix, app, lane, batch, firstIndex);
      const [timestamp, opts, progress] = await redis.hmget(key, 'timestamp', 'opts', 'progress');
      if (typeof timestamp !== 'string') return undefined;
      const enqueuedAtMs = Number(timestamp);
      return {
        firstIndex,
        count: Math.min(maxJobNotifications, size - firstIndex + 1),
        enqueuedAtMs,
        startMs: enqueuedAtMs + scheduledDelayMs(opts),
        progress: parseProgress(progress),
      };
    }),
  );
  return jobs.filter((job) => job !== undefined);
}

/** Index of the first notification of the job that this one was enqueued in. */
function firstIndexOf(index: number): number {
  return Math.floor((index - 1) / maxJobNotifications) * maxJobNotifications + 1;
}

/** BullMQ writes 0 until somebody reports progress. */
function parseProgress(text: string | null | undefined): PushJobProgress | undefined {
  if (typeof text !== 'string') return undefined;
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' ? pushJobProgressSchema.parse(value) : undefined;
}

function jobKey(prefix: string, app: string, lane: Lane, batch: BatchId, firstIndex: number): string {
  return queueKeys(prefix, app, lane).base + pushJobId(batch, firstIndex);
}
