import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from '@pushfleet/client';
import {
  createPrivateFolder,
  generateTokens,
  providePostgres,
  provideRedis,
  simulatorApp,
  startSimulator,
  writeFleetFile,
} from '@pushfleet/testkit';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { expect, onTestFinished, test } from 'vitest';

// The units of deploy/systemd, as written: their command, environment and credentials, each in a process group of its own,
// which gets SIGTERM as a whole, as KillMode=control-group does. Beside the app that sends there is one for each way in
// which a file with a credential can be no good: none of them keeps the services from starting, sending and draining.

const root = fileURLToPath(new URL('../..', import.meta.url));
const services = ['producer', 'worker', 'sweeper'] as const;
type Service = (typeof services)[number];

interface Unit {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly killSignal: NodeJS.Signals;
  readonly killMode: string;
  readonly stopTimeoutMs: number;
  /** Name of the credential → the file that it is loaded from. */
  readonly credentials: ReadonlyMap<string, string>;
}

async function readUnit(service: Service): Promise<Unit> {
  const text = await readFile(join(root, 'deploy', 'systemd', `pushfleet-${service}.service`), 'utf8');
  const lines = text.split('\n').flatMap((line) => {
    const [, name, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, value: value! }];
  });
  const all = (wanted: string) => lines.filter(({ name }) => name === wanted).map(({ value }) => value);
  const pairs = all('Environment')
    .flatMap((value) => value.split(' '))
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const);
  return {
    command: all('ExecStart')[0]!.split(' '),
    env: Object.fromEntries(pairs),
    killSignal: all('KillSignal')[0] as NodeJS.Signals,
    killMode: all('KillMode')[0]!,
    stopTimeoutMs: Number.parseInt(all('TimeoutStopSec')[0]!, 10) * 1_000,
    credentials: new Map(all('LoadCredential').map((value) => value.split(':') as [string, string])),
  };
}

interface Running {
  readonly unit: Unit;
  readonly ready: Readonly<Record<string, unknown>>;
  /** What it has written so far. */
  said(): string;
  /** Signals the whole group; gives how the service ended. */
  stopGroup(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** @param command In place of the unit's. */
async function start(
  service: Service,
  etc: string,
  more: Readonly<Record<string, string>>,
  command?: readonly string[],
): Promise<Running> {
  const unit = await readUnit(service);
  const credentials = join(etc, `credentials-${service}`);
  await mkdir(credentials, { recursive: true });
  for (const [name, file] of unit.credentials) {
    const content = await readFile(file.replace('/etc/pushfleet', etc));
    await writeFile(join(credentials, name), content);
  }
  const here = (text: string) =>
    text
      .replace('%d', credentials)
      .replace('/etc/pushfleet', etc)
      .replace('/opt/pushfleet', root.replace(/\/$/, ''))
      .replace(/^\/usr\/bin\/node$/, process.execPath);
  const env = Object.fromEntries(Object.entries(unit.env).map(([name, value]) => [name, here(value)]));
  const [program, ...args] = command ?? unit.command.map(here);
  const child = spawn(program!, args, {
    cwd: root,
    env: { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: etc, ...env, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const signalGroup = (signal: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // It has ended.
    }
  };
  onTestFinished(() => signalGroup('SIGKILL'));
  const lines: string[] = [];
  const ready = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (line.includes('"msg":"ready"')) resolve(JSON.parse(line) as Record<string, unknown>);
    });
    void exited.then(() =>
      reject(new Error(`the ${service} ended before it was ready:\n${lines.join('\n')}`)),
    );
  });
  return {
    unit,
    ready,
    said: () => lines.join('\n'),
    async stopGroup() {
      signalGroup(unit.killSignal);
      const late = setTimeout(() => signalGroup('SIGKILL'), unit.stopTimeoutMs);
      const [code, signal] = await exited;
      clearTimeout(late);
      return { code, signal };
    },
  };
}

/** Credentials that are no good, each in its way. */
async function badCredentials(folder: string): Promise<Readonly<Record<string, object>>> {
  const certificates = await createTestCertificates({ topic: 'com.example.shop' });
  const path = (name: string) => join(folder, name);
  await writeFile(path('empty.pem'), '');
  await mkdir(path('folder.pem'));
  await writeFile(path('expired.pem'), certificates.expired.bundlePem);
  await writeFile(path('locked.p12'), certificates.production.toPkcs12({ passphrase: 'right' }));
  await writeFile(path('wrong'), 'wrong\n');
  await writeFile(path('unreadable.pem'), certificates.production.bundlePem);
  await chmod(path('unreadable.pem'), 0o000);
  await writeFile(path('text.p8'), 'this is no key\n');
  return {
    missing: { cert: path('nothere.pem') },
    empty: { cert: path('empty.pem') },
    folder: { cert: path('folder.pem') },
    expired: { cert: path('expired.pem') },
    locked: { p12: path('locked.p12'), passphraseFile: path('wrong') },
    nophrase: { p12: path('locked.p12'), passphraseFile: path('nothere') },
    nokey: { p8: path('nothere.p8'), keyId: 'ABC1234567', teamId: 'DEF1234567' },
    text: { p8: path('text.p8'), keyId: 'ABC1234567', teamId: 'DEF1234567' },
    // Root may read it all the same.
    ...(process.getuid?.() === 0 ? {} : { unreadable: { cert: path('unreadable.pem') } }),
  };
}

test('each unit starts its service beside credentials that are no good, and SIGTERM to its group drains it', async () => {
  const [redis, postgres, simulator, etc] = await Promise.all([
    provideRedis({ own: true, aof: true }),
    providePostgres(),
    startSimulator(),
    createPrivateFolder('systemd'),
  ]);
  onTestFinished(async () => {
    await Promise.all([redis.stop(), postgres.stop(), simulator.stop()]);
    await etc.remove();
  }, 60_000);
  const bad = await badCredentials(etc.path);
  const http2 = { transport: 'http2' };
  await writeFleetFile(etc.path, {
    shop: simulatorApp(simulator, http2),
    ...Object.fromEntries(
      Object.entries(bad).map(([id, credential]) => [id, simulatorApp(simulator, { ...http2, credential })]),
    ),
  });
  await writeFile(join(etc.path, 'redis-url'), `${redis.url}\n`);
  for (const service of ['producer', 'sweeper']) {
    await writeFile(join(etc.path, `${service}-database-url`), `${postgres.url}\n`);
  }
  // What stands in producer.env and the like, where others use the machine too.
  const more = {
    PUSHFLEET_PORT: '0',
    PUSHFLEET_ADMIN_PORT: '0',
    PUSHFLEET_REDIS_PREFIX: redis.prefix,
  };

  const running = await Promise.all(services.map((service) => start(service, etc.path, more)));
  const [producer, worker] = running as [Running, Running, Running];
  for (const id of Object.keys(bad)) expect(worker.said()).toContain(`"app":"${id}"`);
  for (const { unit } of running) {
    expect(unit).toMatchObject({ killMode: 'control-group', killSignal: 'SIGTERM' });
    // A drain, and what a stop may take beyond it.
    const drainMs = Number.parseInt(unit.env.PUSHFLEET_DRAIN_TIMEOUT!, 10) * 1_000;
    expect(unit.stopTimeoutMs).toBeGreaterThanOrEqual(drainMs + 10_000);
  }

  const client = createClient({
    baseUrl: `http://127.0.0.1:${producer.ready.port as number}`,
    timeoutMs: 60_000,
  });
  const size = 20_000;
  const tokens = generateTokens({ count: size, seed: 21 });
  const batches = await Promise.all(
    Array.from({ length: 4 }, async (_, place) => {
      const { batchId } = (await client.call('POST /v1/notifications', {
        body: {
          app: 'shop',
          lane: 'bulk',
          defaults: { alert: 'Hello' },
          notifications: tokens.slice(place * 5_000, (place + 1) * 5_000).map((token) => ({ token })),
        },
      } as never)) as { batchId: string };
      return batchId;
    }),
  );
  await expect
    .poll(async () => (await simulator.control.ledger()).received, { timeout: 120_000, interval: 10 })
    .toBeGreaterThan(0);

  const stopped = { code: 0, signal: null };
  expect(await Promise.all(running.map((service) => service.stopGroup()))).toEqual([
    stopped,
    stopped,
    stopped,
  ]);

  // What npm does to a supervisor: the launcher forwards a signal that the service has had already.
  const viaNpm = (task: string) => [process.execPath, join(root, 'scripts', 'run.mjs'), `start:${task}`];
  const again = await Promise.all(services.map((service) => start(service, etc.path, more, viaNpm(service))));
  const second = createClient({
    baseUrl: `http://127.0.0.1:${again[0]!.ready.port as number}`,
    timeoutMs: 60_000,
  });
  const accepted = async () => {
    const found = await Promise.all(batches.map((batchId) => second.batch(batchId)));
    return found.reduce((sum, batch) => sum + batch.accepted, 0);
  };
  await expect.poll(accepted, { timeout: 180_000, interval: 500 }).toBe(size);
  // Drained, and not cut off: nothing was in doubt, so nothing was sent again.
  expect(await simulator.control.ledger()).toMatchObject({ received: size, duplicates: 0 });
  expect(await Promise.all(again.map((service) => service.stopGroup()))).toEqual([stopped, stopped, stopped]);
}, 400_000);
