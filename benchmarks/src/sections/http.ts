import { providePostgres, startProcess, startService } from '@pushfleet/testkit';
import autocannon from 'autocannon';
import { createFigure, type Figure, median } from '../figure.ts';
import { benchApp, startFleet } from '../fleet.ts';
import type { SectionContext } from '../section.ts';
import { readAppTotals } from '../totals.ts';

const section = 'http';
const rounds = 3;
const seconds = 8;
const connections = 50;
/** Requests under way on each connection: with fewer, the load generator is what is measured. */
const pipelining = 10;

const body = JSON.stringify({
  app: benchApp,
  token: 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90',
  alert: { title: 'Your order', body: 'It is on its way.' },
});

/** Single sends over the HTTP API, into Redis, against a bare Fastify route that checks and stores nothing. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet();
  const postgres = await providePostgres({ prefer: 'program', say: () => undefined });
  const producer = await startService('producer', {
    redisUrl: fleet.redis.url,
    redisPrefix: fleet.redis.prefix,
    databaseUrl: postgres.url,
    configPath: fleet.configPath,
  });
  const bareRoute = await startProcess({
    entry: new URL('../actors/bare-route.ts', import.meta.url),
    args: [JSON.stringify({ redisUrl: fleet.redis.url, app: benchApp })],
  });
  try {
    const bare: number[] = [];
    const ours: number[] = [];
    let answered = 0;
    for (let round = 0; round < rounds; round++) {
      say(`round ${round + 1} of ${rounds}`);
      bare.push((await load(bareRoute.ready.port as number)).rate);
      const sent = await load(producer.port);
      ours.push(sent.rate);
      answered += sent.answered;
    }
    const { enqueued } = await readAppTotals(fleet.redis, benchApp);
    // A request that was cut off at the end of a round may have been stored without an answer.
    if (enqueued < answered || enqueued > answered + rounds * connections * pipelining) {
      throw new Error(`${answered} were answered, and ${enqueued} are enqueued`);
    }
    return [
      createFigure({
        section,
        name: 'single sends over HTTP, stored',
        figure: median(ours),
        unit: 'requests/s',
        against: { name: 'a bare Fastify route with the same checks', figure: median(bare) },
        atLeast: 0.7,
      }),
    ];
  } finally {
    await bareRoute.stop();
    await producer.stop();
    await postgres.stop();
    await fleet.stop();
  }
}

async function load(port: number): Promise<{ rate: number; answered: number }> {
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/v1/notifications`,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    connections,
    pipelining,
    duration: seconds,
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} answers were refusals, and ${result.errors} requests failed`);
  }
  return { rate: result['2xx'] / result.duration, answered: result['2xx'] };
}
