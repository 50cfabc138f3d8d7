import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { startDelayLine } from '@pushfleet/testkit';
import { createFigure, type Figure } from './figure.ts';

interface LineCapacity {
  /** Through the line, with a thread that sends and one that takes beside it. */
  readonly bytesPerSecond: number;
  /** What the line would carry with a core of its own. */
  readonly bytesPerCpuSecond: number;
}

const warmUpMs = 500;
const measuredMs = 1_500;

/** What the delay line itself carries on one connection, one way, at a round trip of `rttMs`. */
async function measureLine(rttMs: number): Promise<LineCapacity> {
  const taker = startThread(undefined);
  const [{ port: targetPort }] = (await once(taker, 'message')) as [{ port: number }];
  const line = await startDelayLine({ targetPort });
  let sender: Worker | undefined;
  try {
    await line.set({ delayMs: rttMs / 2 });
    sender = startThread(line.port);
    await delay(warmUpMs + rttMs);
    const [before, bytesBefore, startedMs] = [await line.figures(), await taken(taker), performance.now()];
    await delay(measuredMs);
    const [after, bytesAfter, endedMs] = [await line.figures(), await taken(taker), performance.now()];
    const bytes = bytesAfter - bytesBefore;
    return {
      bytesPerSecond: bytes / ((endedMs - startedMs) / 1_000),
      bytesPerCpuSecond: bytes / (after.cpuSeconds - before.cpuSeconds),
    };
  } finally {
    await sender?.terminate();
    await line.stop();
    await taker.terminate();
  }
}

/** The line's own capacity at two distances, beside the most that was asked of it. @param usedBytesPerSecond by any point */
export async function lineFigures(section: string, usedBytesPerSecond: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const rttMs of [0, 150]) {
    const { bytesPerSecond, bytesPerCpuSecond } = await measureLine(rttMs);
    const against = { name: 'the most that a point asked of it', figure: usedBytesPerSecond / 1e6 };
    figures.push(
      createFigure({
        section,
        name: `the delay line alone at ${rttMs} ms`,
        figure: bytesPerSecond / 1e6,
        unit: 'MB/s',
        against,
        atLeast: 2,
      }),
      createFigure({
        section,
        name: `the delay line at ${rttMs} ms, with a core of its own`,
        figure: bytesPerCpuSecond / 1e6,
        unit: 'MB/s',
      }),
    );
  }
  return figures;
}

function startThread(sendTo: number | undefined): Worker {
  return new Worker(new URL('./line-load-thread.ts', import.meta.url), { workerData: { sendTo } });
}

async function taken(taker: Worker): Promise<number> {
  const answer = once(taker, 'message') as Promise<[{ bytes: number }]>;
  taker.postMessage('how many');
  const [{ bytes }] = await answer;
  return bytes;
}
