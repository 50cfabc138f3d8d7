import { enqueueBulk } from '../bulk.ts';
import { createFigure, type Figure, median } from '../figure.ts';
import { startFleet, waitForLedger } from '../fleet.ts';
import { residentMemory } from '../resident-memory.ts';
import type { SectionContext } from '../section.ts';
import { waitForAllAccepted } from '../totals.ts';

const section = 'memory';
const steps = 20;
const stepCount = 250_000;

/** Resident memory of a worker while it sends five million notifications, measured after each 250,000. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet();
  try {
    const worker = await fleet.startWorker();
    const residentMiB: number[] = [];
    for (let step = 1; step <= steps; step++) {
      await enqueueBulk(fleet.queue, stepCount);
      await waitForLedger(fleet.simulator, step * stepCount, 120_000);
      await waitForAllAccepted(fleet, 60_000);
      residentMiB.push(await residentMemory(worker.process.pid));
      say(`${step * stepCount} notifications: ${residentMiB.at(-1)!.toFixed(0)} MiB`);
    }
    const quarter = steps / 4;
    const early = median(residentMiB.slice(quarter, 2 * quarter));
    return [
      createFigure({ section, name: 'after 250,000', figure: residentMiB[0]!, unit: 'MiB' }),
      createFigure({ section, name: 'most', figure: Math.max(...residentMiB), unit: 'MiB' }),
      createFigure({
        section,
        name: 'the last quarter of five million',
        figure: median(residentMiB.slice(-quarter)),
        unit: 'MiB',
        against: { name: 'the second quarter', figure: early },
        atMost: 1.1,
      }),
    ];
  } finally {
    await fleet.stop();
  }
}
