import { setTimeout as delay } from 'node:timers/promises';
import { liftPauses, pauseApp } from '@pushfleet/push-queue';
import {
  askPostgres,
  type DelayLine,
  type LineFigures,
  providePostgres,
  startDelayLine,
  startProcess,
  startService,
} from '@pushfleet/testkit';
import { migrate, openTokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { readBroadcast, startBroadcast, untilDatabaseIsReached } from './broadcast-calls.ts';
import { fillDevices } from './device-table.ts';
import { benchApp, type Fleet, startFleet } from './fleet.ts';
import { familySeconds, parentOf, processBytes, processSeconds } from './process-time.ts';
import { profilingArgs } from './run-actor.ts';
import { type AppTotals, readAppTotals, settledOf } from './totals.ts';

export type RigTransport = 'binary' | 'http2';

/** Where a notification of a broadcast passes. */
export const stationNames = ['Postgres', 'producer', 'Redis', 'worker', 'sweeper'] as const;
type StationName = (typeof stationNames)[number];

interface StationUse {
  /** Processor time, seconds. */
  readonly seconds: number;
  /** Read and written, files and sockets; 0 for Postgres, whose sockets the kernel does not count. */
  readonly bytes: number;
}

interface BroadcastRun {
  /** From the call until this share of the devices was accepted, milliseconds. */
  readonly acceptedMs: Readonly<Record<number, number>>;
  /** Until the last device was enqueued. */
  readonly enqueuedMs: number;
  /** Until Postgres knew of every outcome. */
  readonly finishedMs: number;
  readonly stations: Readonly<Record<StationName, StationUse>>;
  /** Both ways between worker and gateway. */
  readonly lineBytes: number;
  readonly connections: number;
}

/** A whole fleet: Postgres with devices, producer, Redis, worker, sweeper, gateway. */
export interface BroadcastRig {
  readonly devices: number;
  /** What one station takes alone for all devices, milliseconds. */
  alone(): Promise<Readonly<Record<'Postgres, read' | 'encode, Redis' | 'worker, gateway', number>>>;
  broadcast(): Promise<BroadcastRun>;
  close(): Promise<void>;
}

/** Shares of an audience of which the time is told. */
export const shares = [0.5, 0.9, 0.99, 1] as const;
const timeoutMs = 600_000;
const chunkRows = 10_000;

/** @param rttMs Between worker and gateway, over HTTP/2. */
export async function openBroadcastRig(
  transport: RigTransport,
  devices: number,
  rttMs: number,
): Promise<BroadcastRig> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    let app: Readonly<Record<string, unknown>> = {};
    let line: DelayLine | undefined;
    if (transport === 'http2') {
      const gateway = await startProcess({ entry: new URL('./actors/plain-gateway.ts', import.meta.url) });
      closers.push(async () => gateway.stop());
      const { port, ca } = gateway.ready as { readonly port: number; readonly ca: string };
      line = await startDelayLine({ targetPort: port });
      const { stop } = line;
      closers.push(async () => stop());
      await line.set({ delayMs: rttMs / 2 });
      app = { transport, gateway: { host: 'localhost', port: line.port, ca } };
    }
    // Over binary the line only counts.
    const fleet = await startFleet({ app, isFar: line === undefined });
    closers.push(async () => fleet.stop());
    line ??= fleet.line!;
    const postgres = await providePostgres({ own: true, say: () => undefined });
    closers.push(async () => postgres.stop());
    await migrate(postgres.url);
    await fillDevices(postgres.url, devices);
    const services = await Promise.all(
      (['producer', 'sweeper'] as const).map(async (name) =>
        startService(name, {
          redisUrl: fleet.redis.url,
          redisPrefix: fleet.redis.prefix,
          databaseUrl: postgres.url,
          configPath: fleet.configPath,
          execArgv: profilingArgs(name),
        }),
      ),
    );
    for (const service of services) closers.push(async () => service.stop());
    const [producer, sweeper] = services as [(typeof services)[0], (typeof services)[0]];
    const producerUrl = `http://127.0.0.1:${producer.port}`;
    await untilDatabaseIsReached(producerUrl);
    const worker = await fleet.startWorker();
    const between = line;
    const pids = {
      Postgres: await postmasterOf(postgres.url),
      producer: producer.process.pid,
      Redis: await pidOfRedis(fleet),
      worker: worker.process.pid,
      sweeper: sweeper.process.pid,
    };
    return {
      devices,
      alone: async () => ({
        'Postgres, read': await readAlone(postgres.url, devices),
        ...(await sendAlone(fleet, postgres.url, devices)),
      }),
      broadcast: async () => broadcast(fleet, producerUrl, devices, pids, between),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function broadcast(
  fleet: Fleet,
  producerUrl: string,
  devices: number,
  pids: Readonly<Record<StationName, number>>,
  line: DelayLine,
): Promise<BroadcastRun> {
  const [before, used, lineBefore] = [
    await readAppTotals(fleet.redis, benchApp),
    await useOf(pids),
    await line.figures(),
  ];
  const startedMs = performance.now();
  const id = await startBroadcast(producerUrl);
  const acceptedMs = await untilAccepted(fleet, before, devices, startedMs);
  const lineAfter = await line.figures();
  const { enqueuedMs, finishedMs } = await untilFinished(producerUrl, id, startedMs);
  const after = await useOf(pids);
  const bytesOf = ({ bytesUp, bytesDown }: LineFigures): number => bytesUp + bytesDown;
  return {
    acceptedMs,
    enqueuedMs,
    finishedMs,
    stations: Object.fromEntries(
      stationNames.map((name) => [
        name,
        {
          seconds: after[name].seconds - used[name].seconds,
          bytes: Math.max(0, after[name].bytes - used[name].bytes),
        },
      ]),
    ) as Record<StationName, StationUse>,
    lineBytes: bytesOf(lineAfter) - bytesOf(lineBefore),
    connections: lineAfter.open,
  };
}

async function untilAccepted(
  fleet: Fleet,
  before: AppTotals,
  devices: number,
  startedMs: number,
): Promise<Record<number, number>> {
  const reached: Record<number, number> = {};
  for (;;) {
    const totals = await readAppTotals(fleet.redis, benchApp);
    const tookMs = performance.now() - startedMs;
    const accepted = totals.accepted - before.accepted;
    for (const share of shares) if (accepted >= share * devices) reached[share] ??= tookMs;
    if (accepted >= devices) return reached;
    if (tookMs > timeoutMs || settledOf(totals) - totals.accepted > settledOf(before) - before.accepted) {
      throw new Error(`${accepted} of ${devices} were accepted: ${JSON.stringify(totals)}`);
    }
    await delay(20);
  }
}

async function untilFinished(producerUrl: string, id: string, startedMs: number) {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const { state, fanOutEndedAt, finishedAt } = await readBroadcast(producerUrl, id);
    if (fanOutEndedAt !== undefined && finishedAt !== undefined) {
      const startedAtMs = performance.timeOrigin + startedMs;
      return {
        enqueuedMs: Date.parse(fanOutEndedAt) - startedAtMs,
        finishedMs: performance.now() - startedMs,
      };
    }
    if (performance.now() > deadlineMs) throw new Error(`The broadcast is ${state}`);
    await delay(50);
  }
}

/** Walks through all devices, as the fan-out reads them. */
async function readAlone(connectionString: string, devices: number): Promise<number> {
  const store = openTokenStore({ connectionString });
  try {
    const startedMs = performance.now();
    let after: Buffer = Buffer.alloc(0);
    for (let count = 0; count < devices; ) {
      const run = { app: benchApp, audience: {}, after, scan: chunkRows };
      const page = await store.broadcasts.readAudience(run);
      if (page.last === undefined) throw new Error(`There are only ${count} devices`);
      count += page.count;
      after = page.last;
    }
    return performance.now() - startedMs;
  } finally {
    await store.close();
  }
}

/** Enqueues to all devices from memory while the app is paused, and then lets the worker send them. */
async function sendAlone(fleet: Fleet, connectionString: string, devices: number) {
  const store = openTokenStore({ connectionString });
  const pages: Buffer[] = [];
  try {
    let after: Buffer = Buffer.alloc(0);
    for (let count = 0; count < devices; ) {
      const page = await store.broadcasts.readAudience({
        app: benchApp,
        audience: {},
        after,
        scan: chunkRows,
      });
      pages.push(page.tokens);
      count += page.count;
      after = page.last!;
    }
  } finally {
    await store.close();
  }
  const redis = new Redis(fleet.redis.url);
  const control = { redis, prefix: fleet.redis.prefix };
  try {
    await pauseApp(control, benchApp, { cause: 'operator', reason: 'filling up', sinceMs: Date.now() });
    await delay(500);
    const before = await readAppTotals(fleet.redis, benchApp);
    let startedMs = performance.now();
    for (const tokens of pages) {
      await fleet.queue.enqueueTokens({ app: benchApp, lane: 'bulk', alert: 'Hello', tokens });
    }
    const encodeMs = performance.now() - startedMs;
    startedMs = performance.now();
    await liftPauses(control, benchApp, ['operator']);
    const { 1: sendMs } = await untilAccepted(fleet, before, devices, startedMs);
    return { 'encode, Redis': encodeMs, 'worker, gateway': sendMs! };
  } finally {
    redis.disconnect();
  }
}

async function useOf(pids: Readonly<Record<StationName, number>>): Promise<Record<StationName, StationUse>> {
  const uses: Partial<Record<StationName, StationUse>> = {};
  for (const name of stationNames) {
    const pid = pids[name];
    uses[name] =
      name === 'Postgres'
        ? { seconds: await familySeconds(pid), bytes: 0 }
        : { seconds: await processSeconds(pid), bytes: await processBytes(pid) };
  }
  return uses as Record<StationName, StationUse>;
}

async function postmasterOf(url: string): Promise<number> {
  const [{ pid } = { pid: 0 }] = (await askPostgres(
    url,
    `select pid from pg_stat_activity where backend_type = 'checkpointer'`,
  )) as readonly { pid: number }[];
  if (pid === 0) throw new Error('Postgres does not tell its processes');
  return parentOf(pid);
}

async function pidOfRedis({ redis: { url } }: Fleet): Promise<number> {
  const redis = new Redis(url);
  try {
    const [, pid] = /^process_id:(\d+)/m.exec(await redis.info('server')) ?? [];
    if (pid === undefined) throw new Error('Redis does not tell its process');
    return Number(pid);
  } finally {
    redis.disconnect();
  }
}
