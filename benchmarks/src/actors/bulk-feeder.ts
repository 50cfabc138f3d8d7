import { setTimeout as delay } from 'node:timers/promises';
import { createPushQueue, createRedisClient } from '@pushfleet/push-queue';
import { readQueueDepth } from '@pushfleet/push-queue/status';
import type { Redis } from 'ioredis';
import { enqueueBulk } from '../bulk.ts';
import { benchApp } from '../fleet.ts';
import { readParameters } from '../run-actor.ts';

// Keeps the bulk lane filled until it is ended.

interface Parameters {
  readonly redisUrl: string;
  readonly prefix: string;
  /** Push jobs that wait, at least. */
  readonly jobs: number;
}

const { redisUrl, prefix, jobs } = readParameters<Parameters>();
const queue = createPushQueue({ redis: redisUrl, prefix });
const redis = createRedisClient(redisUrl) as Redis;
const step = 20_000;
for (let batch = 0; ; ) {
  const { lanes } = await readQueueDepth({ redis, prefix }, benchApp);
  if (lanes.bulk.wait < jobs) {
    await enqueueBulk(queue, step, batch);
    if (batch === 0) process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
    batch += step / 5_000;
  } else {
    await delay(5);
  }
}
