import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
/** The same shop on HTTP/2, with the same certificate. */
export const http2App = 'shop-http2';
/** On HTTP/2 with a provider key, which Live Activities need. */
const keyApp = 'shop-key';
/** Whom the playground pauses. */
export const pausedApp = 'shop-paused';

/** Device tokens that begin with these bytes are invalid at the simulated gateway. */
export const badTokenPrefix = 'bad0';
/** The gateway's answer to them. */
export const badTokenRule = {
  on: 'binary',
  match: { tokenPrefix: badTokenPrefix },
  action: { kind: 'reject', status: 8 },
} as const;
/** What the simulated gateway answers with an error that may be its own, however often it is tried. */
export const deadTokenPrefix = 'dead';

/** Everything that runs during the demo, each service a process of its own. */
export interface Stage {
  /** Holds what the stage needs as files, and goes with it. */
  readonly folder: string;
  readonly redisUrl: string;
  readonly redisPrefix: string;
  readonly databaseUrl: string;
  readonly configPath: string;
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
  /** Whether people will use it: the producer then listens where README's examples send to, if nobody else does. */
  readonly isPlayground: boolean;
  /** Opens the board of queues. */
  readonly boardKey: string;
  readonly say: Say;
  /** Aborted: what has been opened is closed again, and there is no stage. */
  readonly signal: AbortSignal;
}

/** Opens the stage; what has been opened is closed again when a part of it fails. */
export async function openStage({
  workers: workerCount,
  isPlayground,
  boardKey,
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
    const configPath = await writeFleetFile(folder.path, await appsOf(simulator));
    // A server of our own has no other keys: then the default, so that nobody needs to name it.
    const redisPrefix = redis.kind === 'given' ? redis.prefix : 'pushfleet';
    const environment = {
      redisUrl: redis.url,
      redisPrefix,
      databaseUrl: postgres.url,
      configPath,
      env: {
        // What a killed worker held is taken up within seconds rather than within a minute.
        PUSHFLEET_LOCK_DURATION: '3s',
        ...(isPlayground ? { PUSHFLEET_WEBHOOKS_PRIVATE: 'allow', PUSHFLEET_BOARD_KEY: boardKey } : {}),
      },
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
    const [producer, sweeper, ...workers] = await allOpened([
      isPlayground ? startAtUsualPort(start) : start('producer'),
      start('sweeper'),
      ...Array.from({ length: workerCount }, async () => start('worker')),
    ]);
    signal.throwIfAborted();
    const producerUrl = `http://127.0.0.1:${producer.port}`;
    await databaseIsReady(producerUrl, signal);
    return {
      folder: folder.path,
      redisUrl: redis.url,
      redisPrefix,
      databaseUrl: postgres.url,
      configPath,
      simulator,
      producer,
      producerUrl,
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

/** What `pushfleet.yaml` names. The simulator takes the certificate on both protocols. */
async function appsOf(simulator: Simulator): Promise<Parameters<typeof writeFleetFile>[1]> {
  const { tlsDir, feedbackPort } = simulator;
  const ids = JSON.parse(await readFile(join(tlsDir, 'provider-key.json'), 'utf8')) as Record<string, string>;
  // Two tries, so that a dead letter takes a second rather than half a minute.
  const attempts = 2;
  const overHttp2 = simulatorApp(simulator, { transport: 'http2', attempts });
  return {
    // Feedback is read often, so that the demo need not wait an hour for it.
    [binaryApp]: simulatorApp(simulator, {
      attempts,
      feedback: { host: 'localhost', port: feedbackPort, interval: '1s' },
    }),
    [http2App]: overHttp2,
    [keyApp]: { ...overHttp2, credential: { p8: join(tlsDir, 'AuthKey.p8'), ...ids } },
    [pausedApp]: overHttp2,
  };
}

/** A producer is ready without Postgres; who migrates the schema first is the sweeper's and the producer's affair. */
async function databaseIsReady(producerUrl: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { status } = await fetch(`${producerUrl}/v1/broadcasts?app=${binaryApp}`, { signal });
    if (status !== 503) return;
    await delay(50);
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
