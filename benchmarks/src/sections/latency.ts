import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { openTraceCollector, type StartedProcess, startProcess } from '@pushfleet/testkit';
import { type ArrivalGateway, openArrivalGateway } from '../arrival-gateway.ts';
import { createFigure, type Figure } from '../figure.ts';
import { benchApp, type Fleet, startFleet } from '../fleet.ts';
import { type ProbeTime, quantile, sendProbes, stages } from '../latency-probes.ts';
import { profilingArgs } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';

const section = 'latency';
/** A smaller run while working on it: PUSHFLEET_BENCH_SHARE=0.1 */
const probes = 2_500 * Number(process.env.PUSHFLEET_BENCH_SHARE ?? 1);
const everyMs = 8;
/** Push jobs of the bulk lane that wait, at least. */
const backlogJobs = 500;
/** For the bulk lane to be under way, milliseconds. */
const warmUpMs = 2_000;
const partOfPeak = 0.75;

interface Side {
  readonly name: string;
  readonly times: readonly ProbeTime[];
  /** Of all lanes, notifications per second. */
  readonly rate: number;
}

/**
 * From the call of `enqueue` to the gateway, transactional lane: alone, while the same app's bulk lane is enqueued and
 * drains as fast as it goes, and while it is held to three quarters of that.
 */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const gateway = await openArrivalGateway();
  const traces = await openTraceCollector();
  const fleet = await startFleet({
    app: { gateway: { host: 'localhost', port: gateway.port, ca: gateway.caPath } },
  });
  const env = { ...traces.env, OTEL_BSP_SCHEDULE_DELAY: '500' };
  const probe = async (name: string, count = probes): Promise<Side> => {
    const [before, startedMs] = [gateway.received, performance.now()];
    const times = await sendProbes({ fleet, gateway, traces, count, everyMs });
    const rate = (gateway.received - before) / ((performance.now() - startedMs) / 1_000);
    say(`${name}: ${Math.round(rate).toLocaleString('en')}/s, ${told(times)}`);
    return { name, times, rate };
  };
  try {
    let worker = await fleet.startWorker(env);
    await probe('warm-up', 100);
    const idle = await probe('idle');
    const peak = await beside(fleet, gateway, () => probe('at the peak'));
    await worker.stop();
    worker = await fleet.startWorker({
      ...env,
      PUSHFLEET_CONFIG: await writeRate(fleet.configPath, peak.rate * partOfPeak),
    });
    const calmer = await beside(fleet, gateway, () => probe('at three quarters of the peak'));
    await worker.stop();
    return [...bars(idle, peak, calmer), ...attribution([idle, calmer, peak])];
  } finally {
    await fleet.stop();
    await traces.close();
    await gateway.close();
  }
}

/** While another process keeps the bulk lane filled, and it drains. */
async function beside(fleet: Fleet, gateway: ArrivalGateway, measure: () => Promise<Side>): Promise<Side> {
  const { redis } = fleet;
  const feeder: StartedProcess = await startProcess({
    entry: new URL('../actors/bulk-feeder.ts', import.meta.url),
    args: [JSON.stringify({ redisUrl: redis.url, prefix: redis.prefix, jobs: backlogJobs })],
    execArgv: profilingArgs('bulk-feeder'),
  });
  try {
    const before = gateway.received;
    await delay(warmUpMs);
    if (gateway.received === before) throw new Error('The bulk lane does not drain');
    return await measure();
  } finally {
    await feeder.kill();
  }
}

/** The configuration once more, with a rate; gives its path. */
async function writeRate(configPath: string, rate: number): Promise<string> {
  const { apps } = JSON.parse(await readFile(configPath, 'utf8')) as { apps: Record<string, object> };
  const path = configPath.replace('.yaml', '-rate.yaml');
  await writeFile(
    path,
    JSON.stringify({ apps: { [benchApp]: { ...apps[benchApp], rate: Math.round(rate) } } }),
  );
  return path;
}

function bars(idle: Side, peak: Side, calmer: Side): Figure[] {
  const total = ({ times }: Side, share: number): number =>
    quantile(
      times.map(({ totalMs }) => totalMs),
      share,
    );
  const p99 = (side: Side, atMost: number): Figure =>
    createFigure({
      section,
      name: `${side.name}, p99`,
      figure: total(side, 0.99),
      unit: 'ms',
      against: { name: 'idle', figure: total(idle, 0.99) },
      atMost,
    });
  return [
    ...[idle, calmer, peak].map((side) =>
      createFigure({ section, name: `${side.name}, median`, figure: total(side, 0.5), unit: 'ms' }),
    ),
    createFigure({ section, name: 'idle, p99', figure: total(idle, 0.99), unit: 'ms' }),
    p99(calmer, 3),
    p99(peak, 6),
    ...[calmer, peak].map((side) =>
      createFigure({
        section,
        name: `the bulk lane ${side.name}`,
        figure: side.rate,
        unit: 'notifications/s',
      }),
    ),
  ];
}

/** Where the time goes, of all probes and of the slowest hundredth, on average. */
function attribution(sides: readonly Side[]): Figure[] {
  return sides.flatMap(({ name, times }) => {
    const slowest = slowestOf(times);
    return stages.flatMap((stage) => [
      createFigure({
        section,
        name: `${name}, all: ${stage}`,
        figure: mean(times.map(({ stagesMs }) => stagesMs[stage])),
        unit: 'ms on average',
      }),
      createFigure({
        section,
        name: `${name}, the slowest 1 %: ${stage}`,
        figure: mean(slowest.map(({ stagesMs }) => stagesMs[stage])),
        unit: 'ms on average, of the slowest 1 %',
      }),
    ]);
  });
}

function slowestOf(times: readonly ProbeTime[]): readonly ProbeTime[] {
  const sorted = [...times].sort((a, b) => b.totalMs - a.totalMs);
  return sorted.slice(0, Math.max(1, Math.round(times.length / 100)));
}

function told(times: readonly ProbeTime[]): string {
  const totals = times.map(({ totalMs }) => totalMs);
  const where = (of: readonly ProbeTime[]): string =>
    stages
      .map((stage) => `${stage} ${mean(of.map(({ stagesMs }) => stagesMs[stage])).toFixed(1)}`)
      .join(', ');
  return (
    `median ${quantile(totals, 0.5).toFixed(1)}, p99 ${quantile(totals, 0.99).toFixed(1)} ms; ` +
    `on average ${where(times)}; the slowest 1 %: ${where(slowestOf(times))}`
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
