import {
  createPrivateFolder,
  ProcessError,
  providePostgres,
  provideRedis,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import type { Say } from './progress.ts';

/** The app of the demo on the binary protocol, as README names it. */
export const binaryApp = 'shop-prod';
/** The same shop on HTTP/2. */
export const http2App = 'shop-http2';

/** Device tokens that begin with these bytes are invalid at the simulated gateway. */
export const badTokenPrefix = 'bad0';

/** Everything that runs during the demo, each service a process of its own. */
export interface Stage {
  readonly simulator: Simulator;
  readonly producer: StartedService;
  readonly producerUrl: string;
  readonly workers: StartedService[];
  readonly sweeper: StartedService;
  /** One more worker of the fleet. */
  startWorker(): Promise<StartedService>;
  stop(): Promise<void>;
}

export interface StageOptions {
  readonly workers: number;
  /** Whether the producer should listen where README's examples send to, if nobody else does. */
  readonly usualPort: boolean;
  readonly say: Say;
  /** Aborted: what has been opened is closed again, and there is no stage. */
  readonly signal: AbortSignal;
}

/** Opens the stage; what has been opened is closed again when a part of it fails. */
export async function openStage({
  workers: workerCount,
  usualPort,
  say,
  signal,
}: StageOptions): Promise<Stage | undefined> {
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    // What cannot be stopped must not leave the rest running.
    for (const close of closers.splice(0).reverse()) await close().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const folder = await createPrivateFolder('demo');
    closers.push(async () => folder.remove());
    const opened = async <T extends { stop(): Promise<unknown> }>(opening: Promise<T>): Promise<T> => {
      const part = await opening;
      closers.push(async () => part.stop());
      return part;
    };
    const [redis, postgres, simulator] = await allOpened([
      opened(provideRedis({ prefer: 'program', aof: true, say })),
      opened(providePostgres({ prefer: 'program', say })),
      opened(startSimulator()),
    ]);
    signal.throwIfAborted();
    const configPath = await writeFleetFile(folder.path, {
      // Feedback is read often, so that the demo need not wait an hour for it.
      [binaryApp]: simulatorApp(simulator, {
        feedback: { host: 'localhost', port: simulator.feedbackPort, interval: '2s' },
      }),
      [http2App]: simulatorApp(simulator, { transport: 'http2' }),
    });
    const environment = {
      redisUrl: redis.url,
      redisPrefix: redis.prefix,
      databaseUrl: postgres.url,
      configPath,
      // What a killed worker held is taken up within seconds rather than within a minute.
      env: { PUSHFLEET_LOCK_DURATION: '3s' },
    };
    const start = async (name: 'producer' | 'worker' | 'sweeper', port = 0): Promise<StartedService> => {
      const service = await startService(name, {
        ...environment,
        ...(name === 'worker' ? { databaseUrl: undefined } : {}),
        env: { ...environment.env, PUSHFLEET_PORT: String(port) },
      });
      closers.push(async () => service.stop());
      return service;
    };
    const producer = usualPort ? await startAtUsualPort(start) : await start('producer');
    const [sweeper, ...workers] = await allOpened([
      start('sweeper'),
      ...Array.from({ length: workerCount }, async () => start('worker')),
    ]);
    signal.throwIfAborted();
    return {
      simulator,
      producer,
      producerUrl: `http://127.0.0.1:${producer.port}`,
      workers,
      sweeper,
      async startWorker() {
        const worker = await start('worker');
        workers.push(worker);
        return worker;
      },
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    if (signal.aborted) return undefined;
    throw error;
  }
}

/** Waits for all of them, also when one fails: what is still being opened could not be closed. */
async function allOpened<const Openings extends readonly Promise<unknown>[]>(
  openings: Openings,
): Promise<{ -readonly [Place in keyof Openings]: Awaited<Openings[Place]> }> {
  await Promise.allSettled(openings);
  return Promise.all(openings);
}

/** Where README's examples send to. */
const usualProducerPort = 8080;

async function startAtUsualPort(
  start: (name: 'producer', port: number) => Promise<StartedService>,
): Promise<StartedService> {
  try {
    return await start('producer', usualProducerPort);
  } catch (error) {
    if (!(error instanceof ProcessError) || !error.output.includes('listens at')) throw error;
    return start('producer', 0);
  }
}
