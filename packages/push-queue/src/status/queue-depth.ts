import { type Lane, lanes } from '../lane.ts';
import { deadLetterKeys, queueKeys } from '../redis/keys.ts';
import type { StatusOptions } from './status-options.ts';

/** Push jobs of a lane by where they stand. */
export interface LaneDepth {
  readonly wait: number;
  readonly active: number;
  readonly delayed: number;
}

export interface QueueDepth {
  readonly lanes: Readonly<Record<Lane, LaneDepth>>;
  readonly deadLetters: number;
}

/** How many push jobs and dead letters an app has. */
export async function readQueueDepth({ redis, prefix }: StatusOptions, app: string): Promise<QueueDepth> {
  const [deadLetters, ...depths] = await Promise.all([
    redis.zcard(deadLetterKeys(prefix, app).index),
    ...lanes.map(async (lane): Promise<[Lane, LaneDepth]> => {
      const keys = queueKeys(prefix, app, lane);
      const [wait, paused, active, delayed] = await Promise.all([
        redis.llen(keys.wait),
        redis.llen(keys.paused),
        redis.llen(keys.active),
        redis.zcard(keys.delayed),
      ]);
      return [lane, { wait: wait + paused, active, delayed }];
    }),
  ]);
  return { lanes: Object.fromEntries(depths) as Record<Lane, LaneDepth>, deadLetters };
}
