import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createRedisClient, type Lane } from '@pushfleet/push-queue';
import {
  type FaultProxy,
  openFaultProxy,
  type PostgresService,
  type PrivateFolder,
  providePostgres,
  provideRedis,
  runProcess,
  type Simulator,
  type StartedService,
  simulatorApp,
  startService,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { type ApnsCertificateOptions, TestAuthority } from '@pushfleet/testkit/certificates';
import type { Job, PrometheusProcess } from './prometheus-process.ts';

const cli = new URL('../../apps/cli/src/main.ts', import.meta.url);

/** Device tokens that begin with it are bad, where a scenario has the gateway say so. */
export const badTokenPrefix = 'bad0';

/** What the settings of an app may need to know. */
export interface FleetParts {
  readonly simulator: Simulator;
  /** Between the fleet and the gateway of the apps that say so. */
  readonly gatewayProxy: FaultProxy;
  readonly feedbackProxy: FaultProxy;
}

export interface ScenarioApp {
  readonly id: string;
  /** More settings of pushfleet.yaml. */
  readonly settings?: (parts: FleetParts) => Readonly<Record<string, unknown>>;
  /** What its push certificate is like; by default one that the gateway takes, for a year. */
  readonly certificate?: Partial<ApnsCertificateOptions>;
}

export interface AlertFleetOptions {
  readonly folder: PrivateFolder;
  readonly prometheus: PrometheusProcess;
  readonly apps: readonly ScenarioApp[];
  readonly say: (line: string) => void;
}

/** A fleet of processes with an app for each scenario: a producer, two workers, a sweeper. */
export class AlertFleet {
  readonly parts: FleetParts;
  readonly postgres: PostgresService;
  readonly redis: ReturnType<typeof createRedisClient>;
  /** The workers are `worker` and `second-worker`. */
  readonly services = new Map<Job | 'second-worker', StartedService>();
  readonly #options: AlertFleetOptions;
  readonly #redisUrl: string;
  readonly #authority: TestAuthority;
  readonly #closers: (() => Promise<unknown>)[];
  readonly #faults = new Map<string, object>();
  readonly #settings = new Map<string, Readonly<Record<string, unknown>>>();

  private constructor(
    options: AlertFleetOptions,
    parts: FleetParts & { readonly postgres: PostgresService; readonly redisUrl: string },
    authority: TestAuthority,
    closers: (() => Promise<unknown>)[],
  ) {
    this.#options = options;
    this.parts = parts;
    this.postgres = parts.postgres;
    this.#redisUrl = parts.redisUrl;
    this.redis = createRedisClient(parts.redisUrl);
    this.redis.on('error', () => undefined);
    this.#authority = authority;
    this.#closers = closers;
    closers.push(async () => this.redis.disconnect());
  }

  /** What was opened is closed again when a part of it fails. */
  static async open(options: AlertFleetOptions): Promise<AlertFleet> {
    const { say } = options;
    const closers: (() => Promise<unknown>)[] = [];
    const opened = async <T>(opening: Promise<T>, close: (part: T) => Promise<unknown>): Promise<T> => {
      const part = await opening;
      closers.push(async () => close(part));
      return part;
    };
    try {
      const own = { own: true, prefer: 'program', say } as const;
      const redis = await opened(provideRedis({ ...own, aof: true }), (server) => server.stop());
      const postgres = await opened(providePostgres(own), (server) => server.stop());
      const simulator = await opened(startSimulator({ args: ['--environment', 'production'] }), (one) =>
        one.stop(),
      );
      const proxyTo = (port: number) =>
        opened(openFaultProxy({ target: { port } }), (proxy) => proxy.close());
      const gatewayProxy = await proxyTo(simulator.binaryPort);
      const feedbackProxy = await proxyTo(simulator.feedbackPort);
      const [certificate, key] = await Promise.all(
        ['ca.pem', 'ca-key.pem'].map((name) => readFile(join(simulator.tlsDir, name), 'utf8')),
      );
      const authority = TestAuthority.load(certificate!, key!);
      const parts = { simulator, gatewayProxy, feedbackProxy, postgres, redisUrl: redis.url };
      const fleet = new AlertFleet(options, parts, authority, closers);
      await fleet.#start();
      return fleet;
    } catch (error) {
      await closeAll(closers);
      throw error;
    }
  }

  async close(): Promise<void> {
    await closeAll(this.#closers);
  }

  /** Sends through the HTTP API. @throws Error with the answer, where it is not a success */
  async send(app: string, tokens: readonly string[], lane: Lane = 'transactional'): Promise<void> {
    await this.call('POST', '/v1/notifications', {
      app,
      lane,
      defaults: { alert: 'An alert is tried' },
      notifications: tokens.map((token) => ({ token })),
    });
  }

  /** Sends every so often until told to stop; what is refused meanwhile is not sent again. */
  keepSending(everyMs: number, send: () => Promise<void>): () => Promise<void> {
    const stop = new AbortController();
    const running = (async () => {
      while (!stop.signal.aborted) {
        await send().catch(() => undefined);
        await delay(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    })();
    const end = async () => {
      stop.abort();
      await running;
    };
    this.#closers.push(end);
    return end;
  }

  async call(method: string, path: string, body: object): Promise<unknown> {
    const answer = await fetch(`http://127.0.0.1:${this.services.get('producer')!.port}${path}`, {
      method,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** Runs the operator's program. @throws Error with what it said */
  async pushfleet(...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const env = this.#environment();
    const { code, stdout, stderr } = await runProcess({
      entry: cli,
      args: [...args, '--json'],
      env,
      timeoutMs: 60_000,
    });
    if (code !== 0) throw new Error(`pushfleet ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Has the gateway do wrong by an app; without a rule, no more. */
  async fault(
    app: string,
    rule?: { readonly match?: object; readonly [more: string]: unknown },
  ): Promise<void> {
    if (rule === undefined) this.#faults.delete(app);
    else this.#faults.set(app, { ...rule, match: { ...rule.match, app: topicOf(app) } });
    await this.parts.simulator.control.faults({ rules: [...this.#faults.values()] });
  }

  /** Puts a new certificate in place of an app's, as the runbook says: written beside it, then renamed. */
  async renewCredential(app: string, options: Partial<ApnsCertificateOptions> = {}): Promise<void> {
    const identity = await this.#authority.issueApnsCertificate({ topic: topicOf(app), ...options });
    const path = this.#credentialPath(app);
    await writeFile(`${path}.new`, identity.bundlePem);
    await rename(`${path}.new`, path);
  }

  /** Changes settings of an app in pushfleet.yaml, and restarts the workers. */
  async configure(app: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    this.#settings.set(app, { ...this.#settings.get(app), ...change });
    await this.#writeConfiguration();
    for (const worker of ['worker', 'second-worker'] as const) {
      await this.services.get(worker)!.stop();
      await this.startService(worker);
    }
  }

  /** Starts a service, at the port for metrics that it had before. */
  async startService(name: Job | 'second-worker'): Promise<void> {
    const adminPort = this.services.get(name)?.adminPort ?? 0;
    const job = name === 'second-worker' ? 'worker' : name;
    const service = await startService(job, {
      redisUrl: this.#redisUrl,
      redisPrefix: 'pushfleet',
      databaseUrl: job === 'worker' ? undefined : this.postgres.url,
      configPath: this.#configPath,
      env: {
        PUSHFLEET_ADMIN_PORT: String(adminPort),
        PUSHFLEET_LOCK_DURATION: '3s',
        PUSHFLEET_WEBHOOKS_PRIVATE: 'allow',
      },
    });
    this.services.set(name, service);
    this.#closers.push(async () => service.stop());
    await this.scrape(job);
  }

  /** Has Prometheus scrape what there is of a service; with `false`, none of it. */
  async scrape(job: Job, isWanted = true): Promise<void> {
    const names = job === 'worker' ? (['worker', 'second-worker'] as const) : [job];
    const addresses = names.flatMap((name) => {
      const service = this.services.get(name);
      return service === undefined ? [] : [`127.0.0.1:${service.adminPort}`];
    });
    await this.#options.prometheus.setTargets(job, isWanted ? addresses : []);
  }

  async #start(): Promise<void> {
    for (const { id, settings, certificate } of this.#options.apps) {
      await this.renewCredential(id, certificate);
      this.#settings.set(id, { connections: 1, confirmAfter: '200ms', ...settings?.(this.parts) });
    }
    await this.#writeConfiguration();
    for (const name of ['producer', 'worker', 'second-worker', 'sweeper'] as const)
      await this.startService(name);
  }

  async #writeConfiguration(): Promise<void> {
    const apps = [...this.#settings].map(([id, settings]) => [
      id,
      simulatorApp(this.parts.simulator, {
        topic: topicOf(id),
        credential: { cert: this.#credentialPath(id) },
        ...settings,
      }),
    ]);
    await writeFleetFile(this.#options.folder.path, Object.fromEntries(apps));
  }

  get #configPath(): string {
    return join(this.#options.folder.path, 'pushfleet.yaml');
  }

  #credentialPath(app: string): string {
    return join(this.#options.folder.path, `${app}.pem`);
  }

  #environment(): NodeJS.ProcessEnv {
    return { REDIS_URL: this.#redisUrl, DATABASE_URL: this.postgres.url, PUSHFLEET_CONFIG: this.#configPath };
  }
}

export function newTokens(count: number, prefix = ''): string[] {
  return Array.from({ length: count }, () => prefix + randomBytes(32).toString('hex').slice(prefix.length));
}

function topicOf(app: string): string {
  return `com.example.${app}`;
}

async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  // What cannot be closed must not leave the rest running.
  for (const close of closers.splice(0).reverse()) await close().catch(() => undefined);
}
