import { setTimeout as delay } from 'node:timers/promises';
import { providePostgres, startService } from '@pushfleet/testkit';
import { migrate, openTokenStore } from '@pushfleet/token-store';
import { benchDeviceTokenSql } from '../bench-devices.ts';
import { createFigure, type Figure, median } from '../figure.ts';
import { benchApp, startFleet } from '../fleet.ts';
import { residentMemory } from '../resident-memory.ts';
import type { SectionContext } from '../sections.ts';

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
    await fillDevices(postgres.url);
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

/** A producer takes sends before it has reached Postgres. */
async function untilDatabaseIsReached(producerUrl: string): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!(await fetch(`${producerUrl}/v1/broadcasts?app=${benchApp}`)).ok) {
    if (performance.now() > deadlineMs) throw new Error('The producer does not reach Postgres');
    await delay(50);
  }
}

interface Progress {
  readonly state: string;
  readonly enqueued: number;
  readonly fanOutEndedAt?: string;
}

async function broadcast(producerUrl: string): Promise<number> {
  const startedMs = performance.now();
  const created = await fetch(`${producerUrl}/v1/broadcasts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ app: benchApp, audience: { all: true }, alert: `Hello at ${startedMs}` }),
  });
  if (created.status !== 202) throw new Error(`${created.status} ${await created.text()}`);
  const { broadcastId } = (await created.json()) as { broadcastId: string };
  for (;;) {
    const response = await fetch(`${producerUrl}/v1/broadcasts/${broadcastId}`);
    const { state, enqueued, fanOutEndedAt } = (await response.json()) as Progress;
    if (fanOutEndedAt !== undefined) {
      if (enqueued !== devices) throw new Error(`${enqueued} of ${devices} devices were enqueued`);
      return devices / ((performance.now() - startedMs) / 1000);
    }
    if (performance.now() - startedMs > 120_000) throw new Error(`The broadcast is ${state} after 120 s`);
    await delay(50);
  }
}

async function fillDevices(connectionString: string): Promise<void> {
  const store = openTokenStore({ connectionString, statementTimeoutMs: 600_000 });
  try {
    await store.database.query(
      `insert into devices (app, token, registered_at, created_at)
         select $1, ${benchDeviceTokenSql}, now(), now() from generate_series(1, $2::int) i`,
      [benchApp, devices],
    );
    await store.database.query('analyze devices');
  } finally {
    await store.close();
  }
}
