import { setTimeout as delay } from 'node:timers/promises';
import type { StartedService } from '@pushfleet/testkit';
import { enqueueBulk } from '../bulk.ts';
import { createFigure, type Figure } from '../figure.ts';
import { benchApp, type Fleet, startFleet } from '../fleet.ts';
import { readMetric } from '../read-metric.ts';
import type { SectionContext } from '../section.ts';
import { type AppTotals, readAppTotals, settledOf } from '../totals.ts';

const section = 'weather';
/** A smaller run while working on it: PUSHFLEET_BENCH_SHARE=0.1 */
const count = 1_000_000 * Number(process.env.PUSHFLEET_BENCH_SHARE ?? 1);
/** Of the way to the gateway, milliseconds. */
const rttMs = 20;
const goAwayEveryMs = 20_000;
/** When the line stands still, from the beginning of the run, and for how long, milliseconds. */
const stallsAtMs = [8_000, 32_000];
const stallMs = 10_000;
const settleTimeoutMs = 600_000;

/** In force all the time. */
const rules = [
  {
    on: 'http2',
    match: { connection: 2, everyNthConnection: 10 },
    action: { kind: 'respond', reason: 'InternalServerError' },
  },
  { on: 'http2', match: { everyNth: 100 }, action: { kind: 'respond', reason: 'Unregistered' } },
  { on: 'http2', match: { everyNth: 1_000 }, action: { kind: 'respond', reason: 'ServiceUnavailable' } },
] as const;
/** Of each connection that is there when it is posted. */
const goAway = {
  on: 'http2',
  forMs: 50,
  action: { kind: 'goaway', streamsBack: 20, reason: 'Shutdown', answers: true, closes: true },
} as const;

interface Outcome {
  readonly rate: number;
  readonly totals: AppTotals;
  readonly uncertain: number;
}

/** A million over HTTP/2 on a clear day, and through bad weather: what is lost, what comes twice, what it costs. */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const fleet = await startFleet({
    isFar: true,
    app: { transport: 'http2' },
    simulatorArgs: ['--record-limit', '0', '--max-unique', String(3 * count)],
  });
  try {
    await fleet.line!.set({ delayMs: rttMs / 2 });
    const { control } = fleet.simulator;
    say(`${count} on a clear day`);
    const clear = await send(fleet, 0);
    say(told(clear));
    await control.reset();
    await control.faults({ rules });
    say('the same in bad weather');
    const end = new AbortController();
    const trouble = Promise.all([sayGoAway(fleet, end.signal), standStill(fleet, end.signal, say)]);
    const storm = await send(fleet, count / 5_000);
    end.abort();
    const goneAway = (await trouble)[0];
    const ledger = await control.ledger();
    const { http2 } = await control.connections();
    const { totals } = storm;
    say(
      `${told(storm)}; ${goneAway} times GOAWAY, ${http2.accepted} connections; the gateway's ledger: ${JSON.stringify(ledger)}`,
    );
    const number = (name: string, figure: number, unit: string, atMost?: number): Figure =>
      createFigure({ section, name, figure, unit, ...(atMost === undefined ? {} : { atMost }) });
    const lost = totals.enqueued - settledOf(totals) + Math.max(0, totals.accepted - ledger.unique);
    return [
      createFigure({
        section,
        name: `a million over HTTP/2 at ${rttMs} ms through bad weather`,
        figure: storm.rate,
        unit: 'notifications/s',
        against: { name: 'on a clear day', figure: clear.rate },
        atLeast: 0.5,
      }),
      number('lost', lost, 'notifications', 0),
      number('dead', totals.dead, 'notifications', 0),
      number(
        'came twice beyond the uncertain',
        Math.max(0, ledger.duplicates - storm.uncertain),
        'notifications',
        0,
      ),
      number('came twice', ledger.duplicates, 'notifications'),
      number('uncertain, by the worker', storm.uncertain, 'notifications'),
      number('rejected for good', totals.rejected, 'notifications'),
      number('connections', http2.accepted, 'connections'),
    ];
  } finally {
    await fleet.stop();
  }
}

/** From the start of a worker with a full queue to the last outcome. */
async function send(fleet: Fleet, firstBatch: number): Promise<Outcome> {
  const before = await readAppTotals(fleet.redis, benchApp);
  await enqueueBulk(fleet.queue, count, firstBatch);
  const worker: StartedService = await fleet.startWorker();
  const startedMs = performance.now();
  const totals = await untilSettled(fleet, before);
  const rate = count / ((performance.now() - startedMs) / 1_000);
  const uncertain = await readMetric(worker.adminPort, 'pushfleet_uncertain_notifications_total');
  await worker.stop();
  return { rate, totals, uncertain };
}

async function untilSettled(fleet: Fleet, before: AppTotals): Promise<AppTotals> {
  const deadlineMs = performance.now() + settleTimeoutMs;
  for (;;) {
    const totals = difference(await readAppTotals(fleet.redis, benchApp), before);
    if (settledOf(totals) === totals.enqueued || performance.now() > deadlineMs) return totals;
    await delay(50);
  }
}

function difference(after: AppTotals, before: AppTotals): AppTotals {
  const names = Object.keys(after) as (keyof AppTotals)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as AppTotals;
}

/** Returns how often. */
async function sayGoAway({ simulator }: Fleet, signal: AbortSignal): Promise<number> {
  for (let times = 0; ; times++) {
    if (!(await lasts(goAwayEveryMs, signal))) return times;
    await simulator.control.faults({ rules: [goAway], add: true });
  }
}

async function standStill({ line }: Fleet, signal: AbortSignal, say: SectionContext['say']): Promise<void> {
  const startedMs = performance.now();
  for (const atMs of stallsAtMs) {
    if (!(await lasts(startedMs + atMs - performance.now(), signal))) {
      say('it was over before the next stall');
      return;
    }
    await line!.set({ isStalled: true });
    await lasts(stallMs, signal);
    await line!.set({ isStalled: false });
  }
}

/** Whether the run still goes on after so long. */
async function lasts(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(Math.max(0, ms), undefined, { signal });
    return true;
  } catch {
    return false;
  }
}

function told({ rate, totals, uncertain }: Outcome): string {
  return `${Math.round(rate).toLocaleString('en')}/s, ${JSON.stringify(totals)}, uncertain ${uncertain}`;
}
