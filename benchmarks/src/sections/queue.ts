import { liftPauses, pauseApp } from '@pushfleet/push-queue';
import { generateTokenBytes } from '@pushfleet/testkit';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { enqueueBulk } from '../bulk.ts';
import { createFigure, type Figure, median } from '../figure.ts';
import { benchApp, type Fleet, startFleet, waitForLedger } from '../fleet.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';
import { waitForAllAccepted } from '../totals.ts';

const section = 'queue';
const rounds = 3;
const count = 2_000_000;

/** Redis to gateway, bulk lane, one worker process: from the moment it may begin until the gateway has everything. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet({ app: { window: 2_000_000 } });
  try {
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      bare.push(await measureBare(fleet));
      ours.push(await measureWorker(fleet));
    }
    return [
      createFigure({
        section,
        name: 'Redis to gateway, bulk lane, one worker, full accounting',
        figure: median(ours),
        unit: 'notifications/s',
        against: { name: 'a bare BullMQ worker that encodes and writes', figure: median(bare) },
        atLeast: 0.5,
      }),
    ];
  } finally {
    await fleet.stop();
  }
}

async function measureWorker(fleet: Fleet): Promise<number> {
  const redis = new Redis(fleet.redis.url);
  const control = { redis, prefix: fleet.redis.prefix };
  try {
    await fleet.simulator.control.reset();
    await pauseApp(control, benchApp, { cause: 'operator', reason: 'filling up', sinceMs: Date.now() });
    await enqueueBulk(fleet.queue, count);
    const worker = await fleet.startWorker();
    const startedMs = performance.now();
    await liftPauses(control, benchApp, ['operator']);
    const endedMs = await waitForLedger(fleet.simulator, count, 120_000);
    await waitForAllAccepted(fleet, 60_000);
    await worker.stop();
    return count / ((endedMs - startedMs) / 1000);
  } finally {
    redis.disconnect();
  }
}

async function measureBare(fleet: Fleet): Promise<number> {
  const { redis, simulator } = fleet;
  await simulator.control.reset();
  const prefix = `${redis.prefix}-bare`;
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue('bare', { connection, prefix });
  const tokens = Buffer.from(generateTokenBytes({ count: 1_000 })).toString('base64');
  const jobs = count / 1_000;
  for (let first = 0; first < jobs; first += 100) {
    await queue.addBulk(Array.from({ length: 100 }, () => ({ name: 'push', data: { tokens } })));
  }
  const { binaryPort: port, tlsDir } = simulator;
  const parameters = { redisUrl: redis.url, prefix, port, tlsDir, jobs };
  const ended = waitForLedger(simulator, count, 120_000);
  const { startedAtMs } = await runActor<{ startedAtMs: number }>('bare-queue', parameters);
  const elapsedMs = (await ended) + performance.timeOrigin - startedAtMs;
  await queue.obliterate({ force: true });
  await queue.close();
  connection.disconnect();
  return count / (elapsedMs / 1000);
}
