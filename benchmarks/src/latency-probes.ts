import { setTimeout as delay } from 'node:timers/promises';
import { createPushQueue } from '@pushfleet/push-queue';
import type { TraceCollector } from '@pushfleet/testkit';
import { type ArrivalGateway, watchedToken } from './arrival-gateway.ts';
import { benchApp, type Fleet } from './fleet.ts';

/** Where the time of a probe goes, in order. */
export const stages = ['call', 'Redis', 'taken', 'written', 'arrived'] as const;
type Stage = (typeof stages)[number];

/** Milliseconds of one probe, from the call of `enqueue` to the gateway, and where they went. */
export interface ProbeTime {
  readonly totalMs: number;
  /**
   * `call`: until the turn of the event loop ends in which it was made. `Redis`: until Redis says that it has it, or the
   * worker has it before. `taken`: until a worker has taken it. `written`: until it is handed to a socket. `arrived`: until
   * the gateway has read it. The worker tells its times by the millisecond.
   */
  readonly stagesMs: Readonly<Record<Stage, number>>;
}

export interface ProbeOptions {
  readonly fleet: Fleet;
  readonly gateway: ArrivalGateway;
  /** Gets the worker's traces. */
  readonly traces: TraceCollector;
  readonly count: number;
  /** One probe every so many milliseconds, however long the one before takes. */
  readonly everyMs: number;
}

/** What the sender knows of a probe, epoch milliseconds. */
export interface SentProbe {
  readonly order: number;
  readonly calledMs: number;
  turnEndedMs: number;
  storedMs: number;
}

/** All probes that there have been: each has a token, and a trace, of its own. */
let orders = 0;

const nowMs = (): number => performance.timeOrigin + performance.now();

/** Sends so many probes on the transactional lane at a fixed pace. @throws when one does not come in */
export async function sendProbes(options: ProbeOptions): Promise<readonly ProbeTime[]> {
  const { fleet, count, everyMs } = options;
  let traceparent = '';
  const queue = createPushQueue({
    redis: fleet.redis.url,
    prefix: fleet.redis.prefix,
    traceparent: () => traceparent,
  });
  const probes: SentProbe[] = [];
  const sends: Promise<void>[] = [];
  const beganMs = performance.now();
  for (let place = 0; place < count; place++) {
    const order = orders++;
    traceparent = `00-${traceIdOf(order)}-${'1'.padStart(16, '0')}-01`;
    const probe: SentProbe = { order, calledMs: nowMs(), turnEndedMs: 0, storedMs: 0 };
    probes.push(probe);
    const stored = queue.enqueue({
      app: benchApp,
      lane: 'transactional',
      token: watchedToken(order),
      alert: { title: 'Your code', body: `It is ${order}` },
    });
    setImmediate(() => {
      probe.turnEndedMs = nowMs();
    });
    sends.push(
      stored.then(() => {
        probe.storedMs = nowMs();
      }),
    );
    await delay(Math.max(0, beganMs + (place + 1) * everyMs - performance.now()));
  }
  await Promise.all(sends);
  await queue.close();
  return attribute(probes, options);
}

async function attribute(
  probes: readonly SentProbe[],
  { gateway, traces }: ProbeOptions,
): Promise<readonly ProbeTime[]> {
  const deadlineMs = performance.now() + 60_000;
  for (;;) {
    const spans = spansByTrace(traces);
    const times = probes.map((probe) =>
      timeOf(probe, gateway.arrivedMs(probe.order), spans.get(traceIdOf(probe.order))),
    );
    if (times.every((time) => time !== undefined)) return times;
    const missing = probes[times.indexOf(undefined)]!.order;
    if (performance.now() > deadlineMs) throw new Error(`Probe ${missing} has not come in`);
    await delay(200);
  }
}

/** What the worker's span says of it, epoch milliseconds. */
export interface WorkerTimes {
  readonly takenMs: number;
  readonly writtenMs: number;
}

/** Probes that share a push job share a span, which links to each. */
function spansByTrace({ spans }: TraceCollector): Map<string, WorkerTimes> {
  const times = new Map<string, WorkerTimes>();
  for (const { parentSpanId, traceId, links, startMs, events } of spans) {
    const writtenMs = events.find(({ name }) => name === 'first written')?.atMs;
    if (writtenMs === undefined) continue;
    const traceIds = parentSpanId === undefined ? links.map((link) => link.traceId) : [traceId];
    for (const id of traceIds) times.set(id, { takenMs: startMs, writtenMs });
  }
  return times;
}

/** Undefined: not all is known of it yet. */
export function timeOf(
  { calledMs, turnEndedMs, storedMs }: SentProbe,
  arrivedMs: number | undefined,
  worker: WorkerTimes | undefined,
): ProbeTime | undefined {
  if (arrivedMs === undefined || worker === undefined) return undefined;
  // Each time is no earlier than the one before, whatever the clocks say.
  const inOrder = [
    calledMs,
    turnEndedMs,
    Math.min(storedMs, worker.takenMs),
    worker.takenMs,
    worker.writtenMs,
  ];
  let last = calledMs;
  const until = [...inOrder.slice(1), arrivedMs].map((atMs) => {
    last = Math.min(arrivedMs, Math.max(last, atMs));
    return last;
  });
  const took = until.map((atMs, place) => atMs - (place === 0 ? calledMs : until[place - 1]!));
  return {
    totalMs: arrivedMs - calledMs,
    stagesMs: Object.fromEntries(stages.map((stage, place) => [stage, took[place]!])) as Record<
      Stage,
      number
    >,
  };
}

function traceIdOf(order: number): string {
  return (order + 1).toString(16).padStart(32, '0');
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
