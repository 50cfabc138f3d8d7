import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { printResult, readParameters } from '../run-actor.ts';

// BullMQ's own rate: jobs that are there already, taken by a processor that does nothing.

const { redisUrl, prefix, jobs } = readParameters<{ redisUrl: string; prefix: string; jobs: number }>();
const connect = (): Redis => new Redis(redisUrl, { maxRetriesPerRequest: null });
const queue = new Queue('empty', { connection: connect(), prefix });
for (let first = 0; first < jobs; first += 1_000) {
  await queue.addBulk(Array.from({ length: 1_000 }, (_, job) => ({ name: 'empty', data: { job } })));
}
let finished = 0;
const { promise: done, resolve } = Promise.withResolvers<void>();
const worker = new Worker('empty', async () => undefined, {
  connection: connect(),
  prefix,
  concurrency: 100,
  autorun: false,
  removeOnComplete: { count: 0 },
});
worker.on('completed', () => {
  finished++;
  if (finished === jobs) resolve();
});
await worker.waitUntilReady();
const startedMs = performance.now();
const running = worker.run();
await done;
printResult({ rate: jobs / ((performance.now() - startedMs) / 1000) });
await worker.close();
await running;
process.exit(0);
