import { setTimeout as delay } from 'node:timers/promises';
import { type ArrivalGateway, openArrivalGateway, watchedToken } from '../arrival-gateway.ts';
import { createFigure, type Figure } from '../figure.ts';
import { benchApp, type Fleet, startFleet } from '../fleet.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../sections.ts';

const section = 'latency';
const probes = 1_000;
/** One probe every so many milliseconds, however long the one before takes. */
const probeEveryMs = 10;
const backlog = 1_000_000;

/**
 * From the call of `enqueue` to the gateway, transactional lane: alone, and while a million notifications of the same
 * app's bulk lane drain.
 */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const gateway = await openArrivalGateway();
  const fleet = await startFleet({
    app: { gateway: { host: 'localhost', port: gateway.port, ca: gateway.caPath } },
  });
  try {
    await fleet.startWorker();
    await probe(fleet, gateway, 0, () => false);
    say('idle');
    const idle = await probe(fleet, gateway, probes, (sent) => sent < probes);
    say('while the bulk lane drains');
    const before = gateway.received;
    const filling = runActor('bulk-sender', {
      redisUrl: fleet.redis.url,
      prefix: fleet.redis.prefix,
      count: backlog,
    });
    const isDraining = (): boolean => gateway.received - before < backlog;
    const busy = await probe(fleet, gateway, 2 * probes, isDraining);
    await filling;
    say(`${busy.length} probes in ${((busy.length * probeEveryMs) / 1000).toFixed(1)} s`);
    return [
      createFigure({ section, name: 'idle, median', figure: quantile(idle, 0.5), unit: 'ms' }),
      createFigure({ section, name: 'draining, median', figure: quantile(busy, 0.5), unit: 'ms' }),
      createFigure({ section, name: 'idle, p99', figure: quantile(idle, 0.99), unit: 'ms' }),
      createFigure({
        section,
        name: 'draining a million, p99',
        figure: quantile(busy, 0.99),
        unit: 'ms',
        against: { name: 'idle', figure: quantile(idle, 0.99) },
        atMost: 3,
      }),
    ];
  } finally {
    await fleet.stop();
    await gateway.close();
  }
}

/** Sends a probe at a fixed pace while `goOn`; gives the milliseconds that each took. */
async function probe(
  fleet: Fleet,
  gateway: ArrivalGateway,
  firstOrder: number,
  goOn: (sent: number) => boolean,
): Promise<number[]> {
  const startedMs: number[] = [];
  const sends: Promise<unknown>[] = [];
  const beganMs = performance.now();
  do {
    const order = firstOrder + startedMs.length;
    startedMs.push(performance.timeOrigin + performance.now());
    sends.push(
      fleet.queue.enqueue({
        app: benchApp,
        lane: 'transactional',
        token: watchedToken(order),
        alert: { title: 'Your code', body: `It is ${order}` },
      }),
    );
    const nextMs = beganMs + startedMs.length * probeEveryMs - performance.now();
    await delay(Math.max(0, nextMs));
  } while (goOn(startedMs.length));
  await Promise.all(sends);
  const deadlineMs = performance.now() + 60_000;
  return Promise.all(
    startedMs.map(async (sentMs, place) => {
      for (;;) {
        const arrivedMs = gateway.arrivedMs(firstOrder + place);
        if (arrivedMs !== undefined) return arrivedMs - sentMs;
        if (performance.now() > deadlineMs) throw new Error(`Probe ${firstOrder + place} has not come in`);
        await delay(50);
      }
    }),
  );
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
