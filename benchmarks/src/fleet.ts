import { setTimeout as delay } from 'node:timers/promises';
import { createPushQueue, type PushQueue } from '@pushfleet/push-queue';
import {
  createPrivateFolder,
  type DelayLine,
  provideRedis,
  type RedisService,
  type Simulator,
  type StartedService,
  simulatorApp,
  startDelayLine,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { profilingArgs } from './run-actor.ts';

/** The app that the benchmarks send to. */
export const benchApp = 'bench';

export interface Fleet {
  readonly redis: RedisService;
  readonly simulator: Simulator;
  /** Between worker and gateway, where the gateway is far. */
  readonly line: DelayLine | undefined;
  /** Enqueues for the app, from this process. */
  readonly queue: PushQueue;
  readonly configPath: string;
  startWorker(env?: Readonly<Record<string, string>>): Promise<StartedService>;
  stop(): Promise<void>;
}

export interface FleetOptions {
  /** Settings of the app in pushfleet.yaml. */
  readonly app?: Readonly<Record<string, unknown>>;
  /** Settings of other apps in pushfleet.yaml, by their ids. */
  readonly others?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Of the simulator; by default it counts and keeps nothing. */
  readonly simulatorArgs?: readonly string[];
  /** The gateway is at the far end of a delay line, which has no delay yet. */
  readonly isFar?: boolean;
}

/** A Redis with an append-only file, a simulator and the configuration of one app; workers as they are asked for. */
export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const folder = await createPrivateFolder('bench');
  const redis = await provideRedis({ aof: true, say: () => undefined });
  const simulator = await startSimulator({
    args: options.simulatorArgs ?? ['--record-limit', '0', '--max-unique', '0'],
  });
  const app = simulatorApp(simulator, options.app) as { readonly gateway: { readonly port: number } };
  const line = options.isFar === true ? await startDelayLine({ targetPort: app.gateway.port }) : undefined;
  const gateway = line === undefined ? app.gateway : { ...app.gateway, port: line.port };
  const others = Object.entries(options.others ?? {}).map(([id, more]) => [
    id,
    simulatorApp(simulator, more),
  ]);
  const configPath = await writeFleetFile(folder.path, {
    [benchApp]: { ...app, gateway },
    ...Object.fromEntries(others),
  });
  const queue = createPushQueue({ redis: redis.url, prefix: redis.prefix });
  const workers: StartedService[] = [];
  return {
    redis,
    simulator,
    line,
    queue,
    configPath,
    async startWorker(env = {}) {
      const worker = await startService('worker', {
        redisUrl: redis.url,
        redisPrefix: redis.prefix,
        configPath,
        env,
        execArgv: profilingArgs('worker'),
      });
      workers.push(worker);
      return worker;
    },
    async stop() {
      await queue.close();
      for (const worker of workers) await worker.stop();
      await line?.stop();
      await simulator.stop();
      await redis.stop();
      await folder.remove();
    },
  };
}

/** Waits until the simulator has taken so many; gives the time at which it was seen, `performance.now()`. */
export async function waitForLedger(
  simulator: Simulator,
  received: number,
  timeoutMs: number,
): Promise<number> {
  const deadlineMs = performance.now() + timeoutMs;
  let seen = 0;
  while (performance.now() < deadlineMs) {
    ({ received: seen } = await simulator.control.ledger());
    if (seen >= received) return performance.now();
    await delay(10);
  }
  throw new Error(`The gateway has ${seen} of ${received} notifications after ${timeoutMs / 1000} s`);
}
