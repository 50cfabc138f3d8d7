import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createPrivateFolder,
  type FaultProxy,
  findFreePort,
  findRedisProgram,
  openFaultProxy,
  openRedisProgram,
  type PostgresService,
  providePostgres,
  type RestartableServer,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { migrate } from '@pushfleet/token-store';

/** What one connection may have in flight. */
const window = 1_000;
const streams = 100;

/** How long a push job is a worker's that says nothing: less than a stopped process may stand still. */
const lockDuration = '8s';

type ServiceKind = 'producer' | 'worker' | 'sweeper';

/** A place in the fleet for one service, which may die there and be started again. */
export class Slot {
  readonly kind: ServiceKind;
  readonly name: string;
  readonly #start: () => Promise<StartedService>;
  #service: StartedService | undefined;

  constructor(kind: ServiceKind, name: string, start: () => Promise<StartedService>) {
    this.kind = kind;
    this.name = name;
    this.#start = start;
  }

  /** Sends it a signal, where it runs. */
  signal(signal: NodeJS.Signals): void {
    this.#service?.process.signal(signal);
  }

  /** Ends it; gives what it ended with, where it ran. */
  async end(how: 'kill' | 'stop'): Promise<string> {
    const service = this.#service;
    this.#service = undefined;
    if (service === undefined) return 'did not run';
    const { code, signal } = await service[how]();
    return signal ?? `code ${code}`;
  }

  /** Starts it where it does not run, again and again until it does: what it needs may be away. */
  async ensureStarted(): Promise<void> {
    for (let tries = 0; this.#service === undefined || !this.#service.process.running; tries++) {
      try {
        this.#service = await this.#start();
      } catch (error) {
        if (tries === 5) throw error;
        await delay(500);
      }
    }
  }

  /** Its metrics as text; empty where it does not answer. */
  async metrics(): Promise<string> {
    if (this.#service === undefined) return '';
    const answer = await fetch(`http://127.0.0.1:${this.#service.adminPort}/metrics`).catch(() => undefined);
    return (await answer?.text()) ?? '';
  }
}

/** The ways between the processes, each to be cut, slowed and closed. */
export interface Edges {
  readonly 'client to producer 1': FaultProxy;
  readonly 'client to producer 2': FaultProxy;
  readonly 'producer to Redis': FaultProxy;
  readonly 'worker to Redis': FaultProxy;
  readonly 'sweeper to Redis': FaultProxy;
  readonly Postgres: FaultProxy;
  readonly 'binary gateway': FaultProxy;
  readonly 'HTTP/2 gateway': FaultProxy;
}

export interface ChaosFleet {
  readonly redis: RestartableServer;
  readonly replica: RestartableServer;
  readonly prefix: string;
  readonly postgres: PostgresService;
  readonly simulator: Simulator;
  readonly edges: Edges;
  readonly slots: readonly Slot[];
  /** The API of each producer. */
  readonly apiUrls: readonly string[];
  /** Gets the events of webhooks. */
  readonly webhooks: { readonly url: string; readonly server: Server };
  stop(): Promise<void>;
}

/** @param execArgv Flags for the Node.js of every service. */
export async function openChaosFleet(execArgv: readonly string[]): Promise<ChaosFleet> {
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  const keep = <Part>(part: Part, close: (part: Part) => Promise<unknown>): Part => {
    closers.push(async () => close(part));
    return part;
  };
  try {
    const folder = keep(await createPrivateFolder('chaos'), async (it) => it.remove());
    const { redis, replica } = await openRedisPair(keep);
    const postgres = keep(await providePostgres({ own: true, say: () => undefined }), async (it) =>
      it.stop(),
    );
    await migrate(postgres.url);
    const args = ['--record-limit', '2000000', '--max-unique', '4000000'];
    const simulator = keep(await startSimulator({ args }), async (it) => it.stop());
    const proxy = async (port: number): Promise<FaultProxy> =>
      keep(await openFaultProxy({ target: { port } }), async (it) => it.close());
    const redisPort = Number(new URL(redis.url).port);
    const ports = [await findFreePort(), await findFreePort()] as const;
    const edges: Edges = {
      'client to producer 1': await proxy(ports[0]),
      'client to producer 2': await proxy(ports[1]),
      'producer to Redis': await proxy(redisPort),
      'worker to Redis': await proxy(redisPort),
      'sweeper to Redis': await proxy(redisPort),
      Postgres: await proxy(Number(new URL(postgres.url).port)),
      'binary gateway': await proxy(simulator.binaryPort),
      'HTTP/2 gateway': await proxy(simulator.http2Port),
    };
    const configPath = await writeFleetFile(folder.path, await chaosEntries(simulator, edges));
    const prefix = 'pushfleet-chaos';
    const open = (kind: ServiceKind, port: number) => async (): Promise<StartedService> =>
      startService(kind, {
        redisUrl: withPort(redis.url, edges[`${kind} to Redis`].port),
        redisPrefix: prefix,
        databaseUrl: kind === 'worker' ? undefined : withPort(postgres.url, edges.Postgres.port),
        configPath,
        execArgv,
        env: {
          PUSHFLEET_LOCK_DURATION: kind === 'worker' ? lockDuration : undefined,
          PUSHFLEET_PORT: String(port),
          PUSHFLEET_WEBHOOKS_PRIVATE: kind === 'producer' ? 'allow' : undefined,
        },
      });
    const slots = [
      ...ports.map((port, at) => new Slot('producer', `producer ${at + 1}`, open('producer', port))),
      ...[1, 2, 3].map((number) => new Slot('worker', `worker ${number}`, open('worker', 0))),
      ...[1, 2].map((number) => new Slot('sweeper', `sweeper ${number}`, open('sweeper', 0))),
    ];
    for (const slot of slots) closers.push(async () => slot.end('stop'));
    for (const slot of slots) await slot.ensureStarted();
    const server = keep(createServer(), async (it) => it.close());
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const apiUrls = ([1, 2] as const).map(
      (number) => `http://127.0.0.1:${edges[`client to producer ${number}`].port}`,
    );
    return {
      redis,
      replica,
      prefix,
      postgres,
      simulator,
      edges,
      slots,
      apiUrls,
      webhooks: { url, server },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Keep = <Part>(part: Part, close: (part: Part) => Promise<unknown>) => Part;

/** A primary and its replica, either of which can be the other's: both know one password. */
async function openRedisPair(keep: Keep): Promise<{ redis: RestartableServer; replica: RestartableServer }> {
  const program = await findRedisProgram();
  if (program === undefined) throw new Error('There is no redis-server');
  const password = randomBytes(18).toString('base64url');
  const open = async (more: readonly string[]): Promise<RestartableServer> => {
    const configuration = [
      `requirepass ${password}`,
      `masterauth ${password}`,
      'repl-diskless-sync-delay 0',
      ...more,
    ];
    const server = keep(await openRedisProgram(program, { aof: true, configuration }), async (it) =>
      it.stop(),
    );
    return { ...server, url: `redis://:${password}@127.0.0.1:${new URL(server.url).port}` };
  };
  const redis = await open([]);
  return { redis, replica: await open([`replicaof 127.0.0.1 ${new URL(redis.url).port}`]) };
}

async function chaosEntries(
  simulator: Simulator,
  edges: Edges,
): Promise<Readonly<Record<string, Readonly<Record<string, unknown>>>>> {
  const entry = async (name: string, settings: Readonly<Record<string, unknown>>) => {
    const topic = `com.example.${name}`;
    const { certificate: cert, key } = await simulator.control.issueCertificate(name, topic);
    const edge = settings.transport === 'http2' ? edges['HTTP/2 gateway'] : edges['binary gateway'];
    const app = simulatorApp(simulator, { ...settings, topic, credential: { cert, key } });
    return [name, { ...app, gateway: { ...(app.gateway as object), port: edge.port } }] as const;
  };
  // `proved`: acceptance is never presumed, so that what is accepted is in the ledger under every fault.
  const binary = { transport: 'binary', confirm: 'proved', window, attempts: 100, connectsPerMinute: 6_000 };
  return Object.fromEntries([
    await entry('binary', binary),
    await entry('http2', { transport: 'http2', streams, attempts: 100 }),
    await entry('once', { ...binary, onUncertain: 'drop' }),
  ]);
}

function withPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.hostname = '127.0.0.1';
  changed.port = String(port);
  return changed.href;
}
