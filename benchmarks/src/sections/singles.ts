import { createFigure, type Figure, median } from '../figure.ts';
import { benchApp, startFleet, waitForLedger } from '../fleet.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';
import { waitForAllAccepted } from '../totals.ts';

const section = 'singles';
const rounds = 3;
const count = 500_000;
const emptyJobs = 50_000;

/** Single sends by the library, to the gateway; against BullMQ's own rate with a processor that does nothing. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet();
  try {
    const { redis, simulator } = fleet;
    await fleet.startWorker();
    const empty: number[] = [];
    const ours: number[] = [];
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      const prefix = `${redis.prefix}-empty-${round}`;
      empty.push(
        (await runActor<{ rate: number }>('bullmq-empty', { redisUrl: redis.url, prefix, jobs: emptyJobs }))
          .rate,
      );
      await simulator.control.reset();
      const ended = waitForLedger(simulator, count, 120_000);
      const { startedAtMs } = await runActor<{ startedAtMs: number }>('single-sender', {
        redisUrl: redis.url,
        prefix: redis.prefix,
        app: benchApp,
        count,
        concurrency: 4_000,
      });
      ours.push(count / (((await ended) + performance.timeOrigin - startedAtMs) / 1000));
      await waitForAllAccepted(fleet, 60_000);
    }
    return [
      createFigure({
        section,
        name: 'single sends, each its own call and payload, to the gateway',
        figure: median(ours),
        unit: 'notifications/s',
        against: { name: "BullMQ's own rate with an empty processor", figure: median(empty) },
        atLeast: 10,
      }),
    ];
  } finally {
    await fleet.stop();
  }
}
