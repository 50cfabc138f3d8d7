import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase, providePostgres, startProcess, startService } from '@pushfleet/testkit';
import type { GreedyLoad } from '../actors/greedy-tenant.ts';
import { createFigure, type Figure } from '../figure.ts';
import { benchApp, startFleet } from '../fleet.ts';
import type { SectionContext } from '../section.ts';

const section = 'fairness';
/** The tenant's: of its own, since what the tenant may have in its queues must not be what is measured. */
const greedyApp = 'greedy';
const probes = 300;
/** One probe every so many milliseconds, however long the one before takes. */
const probeEveryMs = 20;
/** A send that takes no longer than this is nobody's complaint, milliseconds. */
const floorMs = 25;
/** For the load to be under way, milliseconds. */
const warmUpMs = 2_000;

const loads: readonly GreedyLoad[] = [
  'imports',
  'wrong imports',
  'uploads',
  'largest batches',
  'refused bodies',
  'sends to users',
  'look-ups',
  'event streams',
];

/** Single sends of one app over HTTP, alone and beside a tenant that does its worst within its rights. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet({ others: { [greedyApp]: { transport: 'http2' } } });
  const postgres = await providePostgres({ prefer: 'program', say: () => undefined });
  const database = await createTestDatabase(postgres.url);
  const producer = await startService('producer', {
    redisUrl: fleet.redis.url,
    redisPrefix: fleet.redis.prefix,
    databaseUrl: database.url,
    configPath: fleet.configPath,
  });
  const figures: Figure[] = [];
  try {
    await probe(producer.port, 50);
    for (const load of loads) {
      say(load);
      const alone = quantile(await probe(producer.port, probes), 0.99);
      const tenant = await startProcess({
        entry: new URL('../actors/greedy-tenant.ts', import.meta.url),
        args: [JSON.stringify({ port: producer.port, app: greedyApp, load })],
      });
      try {
        await delay(warmUpMs);
        const beside = await probe(producer.port, probes);
        figures.push(
          createFigure({
            section,
            name: `a send beside ${load}, p99`,
            figure: quantile(beside, 0.99),
            unit: 'ms',
            against: { name: `alone, ${floorMs} ms at least`, figure: Math.max(alone, floorMs) },
            atMost: 3,
          }),
        );
      } finally {
        await tenant.kill();
      }
    }
    return figures;
  } finally {
    await producer.stop();
    await database.drop();
    await postgres.stop();
    await fleet.stop();
  }
}

const body = JSON.stringify({
  app: benchApp,
  token: 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90',
  alert: 'Your code is 1234',
});

/** Milliseconds that each of so many sends took. */
async function probe(port: number, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  const sends: Promise<void>[] = [];
  const beganMs = performance.now();
  const send = async () => {
    const startedMs = performance.now();
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/notifications`, {
      method: 'POST',
      headers,
      body,
    });
    const text = await answer.text();
    if (answer.status !== 202) throw new Error(`A probe was answered ${answer.status}: ${text}`);
    tookMs.push(performance.now() - startedMs);
  };
  for (let place = 0; place < count; place++) {
    sends.push(send());
    await delay(Math.max(0, beganMs + (place + 1) * probeEveryMs - performance.now()));
  }
  await Promise.all(sends);
  return tookMs;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
