import { createPushQueue } from '@pushfleet/push-queue';
import { enqueueBulk } from '../bulk.ts';
import { printResult, readParameters } from '../run-actor.ts';

// Enqueues a backlog on the bulk lane.

const { redisUrl, prefix, count } = readParameters<{ redisUrl: string; prefix: string; count: number }>();
const queue = createPushQueue({ redis: redisUrl, prefix });
await enqueueBulk(queue, count);
await queue.close();
printResult({ count });
process.exit(0);
