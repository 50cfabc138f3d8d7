import { setTimeout as delay } from 'node:timers/promises';
import { createPushQueue, type PushQueue, PushQueueError } from '@pushfleet/push-queue';
import {
  createPrivateFolder,
  createRandom,
  provideRedis,
  type Random,
  type RedisService,
  randomInt,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { enqueueBulk } from '../bulk.ts';
import { type AppTotals, readAppTotals, settledOf } from '../totals.ts';
import { pickFault } from './fault-menu.ts';

export interface MixedFaultsOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

/** What is sent in one go to one app. */
const burst = 5_000;
const workerCount = 2;
/** How long everything may take to settle once the faults are over, milliseconds. */
const settleTimeoutMs = 300_000;

/** `proved`: acceptance is never presumed, so that what is accepted is in the ledger under every fault. */
const apps = {
  proved: {
    topic: 'com.example.proved',
    transport: 'binary',
    confirm: 'proved',
    window: 20_000,
    attempts: 100,
  },
  http2: { topic: 'com.example.http2', transport: 'http2', attempts: 100 },
} as const;
type AppName = keyof typeof apps;
const appNames = Object.keys(apps) as AppName[];

/**
 * Sends without pause while the gateway misbehaves in every way it knows, workers are killed and stopped, and Redis
 * crashes and comes back. Then the faults end, everything settles, and per app the sums are compared.
 */
export async function runMixedFaults({ minutes, seed, say }: MixedFaultsOptions): Promise<boolean> {
  const random = createRandom(seed);
  const fleet = await openFleet();
  const endMs = performance.now() + minutes * 60_000;
  const isOver = (): boolean => performance.now() > endMs;
  try {
    const [refused] = await Promise.all([
      enqueueUntil(fleet.queue, isOver),
      misbehaveUntil(fleet.simulator, random, isOver),
      disturbUntil(fleet, random, isOver, say),
    ]);
    say(`the faults are over; ${refused} bursts were refused while Redis was away`);
    await fleet.simulator.control.faults({ rules: [] });
    return await compare(fleet, say);
  } finally {
    await fleet.stop();
  }
}

interface MixedFleet {
  readonly redis: RedisService;
  readonly simulator: Simulator;
  readonly queue: PushQueue;
  readonly workers: StartedService[];
  startWorker(): Promise<StartedService>;
  stop(): Promise<void>;
}

async function openFleet(): Promise<MixedFleet> {
  const closers: (() => Promise<unknown>)[] = [];
  const workers: StartedService[] = [];
  const stop = async (): Promise<void> => {
    for (const worker of workers) await worker.stop();
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const folder = await createPrivateFolder('soak');
    closers.push(async () => folder.remove());
    const redis = await provideRedis({ aof: true, own: true, say: () => undefined });
    closers.push(async () => redis.stop());
    const simulator = await startSimulator({ args: ['--record-limit', '0'] });
    closers.push(async () => simulator.stop());
    const entries: Record<string, Readonly<Record<string, unknown>>> = {};
    for (const name of appNames) {
      const { certificate: cert, key } = await simulator.control.issueCertificate(name, apps[name].topic);
      entries[name] = simulatorApp(simulator, { ...apps[name], credential: { cert, key } });
    }
    const configPath = await writeFleetFile(folder.path, entries);
    const queue = createPushQueue({ redis: redis.url, prefix: redis.prefix });
    closers.push(async () => queue.close());
    const startWorker = async (): Promise<StartedService> => {
      const worker = await startService('worker', {
        redisUrl: redis.url,
        redisPrefix: redis.prefix,
        configPath,
        env: { PUSHFLEET_LOCK_DURATION: '3s' },
      });
      workers.push(worker);
      return worker;
    };
    for (let count = 0; count < workerCount; count++) await startWorker();
    return { redis, simulator, queue, workers, startWorker, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Returns how many bursts Redis refused: they may be there all the same, so the totals say what was enqueued. */
async function enqueueUntil(queue: PushQueue, isOver: () => boolean): Promise<number> {
  let refused = 0;
  for (let batch = 0; !isOver(); batch++) {
    for (const app of appNames) {
      try {
        await enqueueBulk(queue, burst, batch, app);
      } catch (error) {
        if (!(error instanceof PushQueueError)) throw error;
        refused++;
      }
    }
    await delay(1_000);
  }
  return refused;
}

/** A few faults at a time, others every few seconds. */
async function misbehaveUntil(simulator: Simulator, random: Random, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const rules = Array.from({ length: 1 + randomInt(random, 3) }, () => pickFault(random));
    await simulator.control.faults({ rules });
    await delay(2_000 + randomInt(random, 4_000));
  }
}

/** Kills or stops a worker, or crashes Redis, now and then. */
async function disturbUntil(
  fleet: MixedFleet,
  random: Random,
  isOver: () => boolean,
  say: (line: string) => void,
): Promise<void> {
  while (!isOver()) {
    await delay(5_000 + randomInt(random, 15_000));
    const what = randomInt(random, 5);
    if (what === 0) {
      say('Redis crashes and comes back');
      await fleet.redis.kill();
      await delay(randomInt(random, 3_000));
      await fleet.redis.restart();
      continue;
    }
    const worker = fleet.workers.splice(randomInt(random, fleet.workers.length), 1)[0]!;
    const how = what < 3 ? 'kill' : 'stop';
    say(how === 'kill' ? 'a worker is killed' : 'a worker is asked to stop');
    const { code, signal } = await worker[how]();
    if (how === 'stop' && code !== 0) say(`  it ended with ${signal ?? `code ${code}`}`);
    await fleet.startWorker();
  }
}

async function compare(fleet: MixedFleet, say: (line: string) => void): Promise<boolean> {
  const deadlineMs = performance.now() + settleTimeoutMs;
  let totals: Readonly<Record<AppName, AppTotals>>;
  for (;;) {
    const read = async (app: AppName) => [app, await readAppTotals(fleet.redis, app)] as const;
    totals = Object.fromEntries(await Promise.all(appNames.map(read))) as Record<AppName, AppTotals>;
    const isSettled = appNames.every((app) => settledOf(totals[app]) === totals[app].enqueued);
    if (isSettled || performance.now() > deadlineMs) break;
    await delay(500);
  }
  const ledger = (await fleet.simulator.control.ledger()) as unknown as {
    apps: Readonly<Record<string, { unique: number; duplicates: number }>>;
  };
  let ok = true;
  for (const app of appNames) {
    const sums = totals[app];
    const { unique = 0, duplicates = 0 } = ledger.apps[apps[app].topic] ?? {};
    const lost = sums.enqueued - settledOf(sums) + Math.max(0, sums.accepted - unique);
    ok &&= lost === 0 && unique <= sums.accepted + sums.dead + sums.rejected;
    say(
      `${app}: enqueued ${sums.enqueued} = accepted ${sums.accepted} + rejected ${sums.rejected} + expired ${sums.expired} + ` +
        `cancelled ${sums.cancelled} + dead ${sums.dead}; in the ledger ${unique}; lost ${lost}, duplicates ${duplicates}`,
    );
  }
  return ok;
}
