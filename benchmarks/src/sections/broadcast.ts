import { setTimeout as delay } from 'node:timers/promises';
import { providePostgres, startService } from '@pushfleet/testkit';
import { migrate } from '@pushfleet/token-store';
import { readBroadcast, startBroadcast, untilDatabaseIsReached } from '../broadcast-calls.ts';
import { fillDevices } from '../device-table.ts';
import { createFigure, type Figure, median } from '../figure.ts';
import { startFleet } from '../fleet.ts';
import { residentMemory } from '../resident-memory.ts';
import type { SectionContext } from '../section.ts';

const section = 'broadcast';
const devices = 1_000_000;
const rounds = 3;

/**
 * Fan-out of a broadcast to a million devices, from the call to the last push job in Redis, while a worker sends what
 * is there: the fan-out waits when too much of it is.
 */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet();
  const postgres = await providePostgres({ own: true, say: () => undefined });
  try {
    await migrate(postgres.url);
    say(`${devices} devices …`);
    await fillDevices(postgres.url, devices);
    const producer = await startService('producer', {
      redisUrl: fleet.redis.url,
      redisPrefix: fleet.redis.prefix,
      databaseUrl: postgres.url,
      configPath: fleet.configPath,
    });
    const producerUrl = `http://127.0.0.1:${producer.port}`;
    try {
      await untilDatabaseIsReached(producerUrl);
      await fleet.startWorker();
      const rates: number[] = [];
      const memory: number[] = [];
      for (let round = 0; round < rounds; round++) {
        say(`round ${round + 1} of ${rounds}`);
        rates.push(await broadcast(producerUrl));
        memory.push(await residentMemory(producer.process.pid));
      }
      return [
        createFigure({
          section,
          name: 'fan-out of a broadcast to a million devices',
          figure: median(rates),
          unit: 'devices/s',
          atLeast: 100_000,
        }),
        createFigure({
          section,
          name: 'memory of the producer after the third million',
          figure: memory[2]!,
          unit: 'MiB',
          against: { name: 'after the first', figure: memory[0]! },
          atMost: 1.25,
        }),
      ];
    } finally {
      await producer.stop();
    }
  } finally {
    await postgres.stop();
    await fleet.stop();
  }
}

async function broadcast(producerUrl: string): Promise<number> {
  const startedMs = performance.now();
  const broadcastId = await startBroadcast(producerUrl);
  for (;;) {
    const { state, enqueued, fanOutEndedAt } = await readBroadcast(producerUrl, broadcastId);
    if (fanOutEndedAt !== undefined) {
      if (enqueued !== devices) throw new Error(`${enqueued} of ${devices} devices were enqueued`);
      return devices / ((performance.now() - startedMs) / 1000);
    }
    if (performance.now() - startedMs > 120_000) throw new Error(`The broadcast is ${state} after 120 s`);
    await delay(50);
  }
}
