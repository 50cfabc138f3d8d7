import { chmod } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { beatWorker, pauseApp, readWorkers, removeWorker } from '@pushfleet/push-queue';
import { discardDeadLetter } from '@pushfleet/push-queue/status';
import { DeadLetters, WorkerLink } from '@pushfleet/push-queue/worker';
import { readBuildInfo } from '@pushfleet/service-kit';
import { createTestDatabase, provideRedis, type RedisService, type TestDatabase } from '@pushfleet/testkit';
import { migrate, openTokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { judgeDisk } from '../src/doctor/check-space.ts';
import { examine } from '../src/doctor/doctor.ts';
import type { Finding } from '../src/doctor/finding.ts';
import { type CredentialFiles, createCredentialFiles } from './credential-files.ts';
import { runCli } from './run-cli.ts';

// A healthy installation, and one mistake at a time. Redis is one of our own: its settings are the mistakes.

let files: CredentialFiles;
let redis: RedisService;
let client: Redis;
let database: TestDatabase;
let empty: TestDatabase;
let gateway: Server;
let gatewayPort: number;
const control = () => ({ redis: client, prefix: 'pushfleet' });

/** The HTTP API, as far as the doctor asks it. */
let apiStatus = 200;
const api = createHttpServer((request, response) => {
  const isDescription = request.url === '/openapi.json';
  response.writeHead(isDescription ? 200 : apiStatus, { 'content-type': 'application/json' });
  response.end(
    isDescription
      ? JSON.stringify({ info: { version: readBuildInfo().version } })
      : JSON.stringify({ detail: 'a key is needed' }),
  );
});
let apiUrl: string;

/** A worker that lives as long as the tests. */
const beat = () =>
  beatWorker(
    control(),
    {
      ...{ id: 'one', host: 'here', pid: 1, version: readBuildInfo().version, sinceMs: Date.now() },
      ...{ apps: ['shop', 'shop2'], troubles: {}, slowed: {} },
    },
    3_600_000,
  );
/** What a sweeper writes of the accounts every two seconds. */
const sweep = async (ago: string) => {
  const store = openTokenStore({ connectionString: database.url });
  await store.database.query(
    `insert into fleet_totals (app, lane, enqueued, read_at) values ('shop', 'bulk', 0, now() - $1::interval)
     on conflict (app, lane) do update set read_at = excluded.read_at`,
    [ago],
  );
  await store.close();
};

beforeAll(async () => {
  // Making keys takes all of a processor: nothing is to be waited for meanwhile.
  files = await createCredentialFiles();
  [redis, database, empty] = await Promise.all([
    provideRedis({ own: true, aof: true }),
    createTestDatabase(inject('databaseUrl')),
    createTestDatabase(inject('databaseUrl')),
  ]);
  await migrate(database.url);
  client = new Redis(redis.url);
  await client.config('SET', 'maxmemory', '1gb');
  const { server } = files.certificates;
  gateway = createServer({ key: server.privateKeyPem, cert: server.certificatePem });
  gateway.on('tlsClientError', () => undefined);
  await files.write('ca.pem', files.certificates.authority.certificatePem);
  await files.write('foreign-ca.pem', files.certificates.foreign.certificatePem);
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  gatewayPort = (gateway.address() as AddressInfo).port;
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  apiUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
  await beat();
  await sweep('1 second');
  for (const name of ['ck.pem', 'expired.pem', 'shop.p12', 'shop.passphrase'])
    await chmod(files.path(name), 0o600);
});
afterAll(async () => {
  client.disconnect();
  gateway.close();
  api.close();
  api.closeAllConnections();
  await Promise.all([redis.stop(), database.drop(), empty.drop(), files.remove()]);
});

/** An app that has nothing wrong with it, but for what is given. */
function appText(changes: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    topic: 'com.example.shop',
    environment: 'production',
    transport: 'binary',
    gateway: { host: '127.0.0.1', port: gatewayPort, ca: 'ca.pem' },
    credential: { cert: 'ck.pem' },
    ...changes,
  });
}

let configurations = 0;

async function environment(apps: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv = {}) {
  configurations += 1;
  const lines = Object.entries(apps).map(([id, text]) => `  ${id}: ${text}`);
  const path = await files.write(`pushfleet-${configurations}.yaml`, `apps:\n${lines.join('\n')}\n`);
  return {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    PUSHFLEET_CONFIG: path,
    PUSHFLEET_URL: apiUrl,
    ...env,
  };
}

/** How full this machine's disk is, is no business of these tests. */
const bad = (findings: readonly Finding[]) =>
  findings.filter(({ about, severity }) => severity !== 'ok' && about !== 'disk');

test('a healthy installation gets no advice, and exit code 0', async () => {
  const env = await environment({ shop: appText() });
  const findings = await examine(env);
  expect(bad(findings)).toEqual([]);
  // As many disks as this machine has.
  const about = findings.map((finding) => finding.about);
  expect(about.filter((name, place) => name !== 'disk' || about[place - 1] !== 'disk')).toEqual([
    'version',
    'configuration',
    ...['apps.shop', 'apps.shop', 'apps.shop'],
    'redis',
    'workers',
    'apps.shop',
    ...['postgres', 'postgres', 'sweepers'],
    ...['api', 'api'],
    'disk',
    'clock',
  ]);
  const said = findings.map(({ message }) => message).join('\n');
  expect(said).toMatch(
    /certificate of 127\.0\.0\.1 is trusted: "localhost" \(until .*\) ← "Pushfleet Test Authority".*; held against .*ca\.pem/,
  );
  expect(said).toMatch(/largest: \w+ /);
  expect(said).toMatch(/agrees with Redis and Postgres and the API/);
  const run = await runCli(['doctor', '--json'], env);
  expect({ exitCode: run.exitCode, healthy: run.json.healthy }).toEqual({ exitCode: 0, healthy: true });
});

interface Mistake {
  readonly name: string;
  /** Gives the environment with the mistake, and a way to take it back. */
  readonly make: () => Promise<{ env: NodeJS.ProcessEnv; undo?: () => Promise<unknown> }>;
  readonly about: string;
  readonly message: RegExp;
}

const setting = (name: string, wrong: string, right: string) => async () => {
  await client.config('SET', name, wrong);
  return { env: await environment({ shop: appText() }), undo: () => client.config('SET', name, right) };
};

const mistakes: readonly Mistake[] = [
  {
    name: 'a setting that does not exist',
    make: async () => ({ env: await environment({ shop: appText({ conections: 4 }) }) }),
    about: 'configuration',
    message: /apps\.shop\.conections is not a known setting/,
  },
  {
    name: 'a collector of traces by a protocol that is not spoken',
    make: async () => ({
      env: await environment(
        { shop: appText() },
        { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      ),
    }),
    about: 'configuration',
    message: /OTEL_EXPORTER_OTLP_PROTOCOL must be http\/protobuf/,
  },
  {
    name: 'a wrong passphrase',
    make: async () => ({
      env: await environment(
        { shop: appText({ credential: { p12: 'shop.p12', passphraseEnv: 'WRONG' } }) },
        { WRONG: 'falsch' },
      ),
    }),
    about: 'apps.shop',
    message: /shop\.p12: .*passphrase/i,
  },
  {
    name: 'an expired certificate',
    make: async () => ({
      env: await environment({ shop: appText({ credential: { cert: 'expired.pem' } }) }),
    }),
    about: 'apps.shop',
    message: /expired at/,
  },
  {
    name: 'a certificate for another topic',
    make: async () => ({ env: await environment({ shop: appText({ topic: 'com.example.news' }) }) }),
    about: 'apps.shop',
    message: /does not cover the topic com\.example\.news/,
  },
  {
    name: 'a gateway that nobody listens at',
    make: async () => ({
      env: await environment({ shop: appText({ gateway: { host: '127.0.0.1', port: 1, ca: 'ca.pem' } }) }),
    }),
    about: 'apps.shop',
    message: /127\.0\.0\.1:1 cannot be reached from here: ECONNREFUSED/,
  },
  {
    name: 'two apps that take each other’s feedback away',
    make: async () => {
      const feedback = { host: '127.0.0.1', port: 2196 };
      return { env: await environment({ shop: appText({ feedback }), shop2: appText({ feedback }) }) };
    },
    about: 'apps.shop',
    message: /shop and shop2 read the same feedback service/,
  },
  {
    name: 'a Redis that is not there',
    make: async () => ({ env: await environment({ shop: appText() }, { REDIS_URL: 'redis://127.0.0.1:1' }) }),
    about: 'redis',
    message: /cannot be reached: .*ECONNREFUSED/,
  },
  {
    name: 'a wrong password for Redis',
    make: async () => ({
      env: await environment({ shop: appText() }, { REDIS_URL: redis.url.replace(/:[^:@]+@/, ':wrong@') }),
    }),
    about: 'redis',
    message: /WRONGPASS/,
  },
  {
    name: 'a Redis that evicts',
    make: setting('maxmemory-policy', 'allkeys-lru', 'noeviction'),
    about: 'redis',
    message: /maxmemory-policy is allkeys-lru/,
  },
  {
    name: 'a Redis that forgets at a restart',
    make: setting('appendonly', 'no', 'yes'),
    about: 'redis',
    message: /no append-only file/,
  },
  {
    name: 'a Redis that takes all memory',
    make: setting('maxmemory', '0', '1gb'),
    about: 'redis',
    message: /maxmemory is not set/,
  },
  {
    name: 'a Postgres that is not there',
    make: async () => ({
      env: await environment({ shop: appText() }, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' }),
    }),
    about: 'postgres',
    message: /ECONNREFUSED/,
  },
  {
    name: 'migrations that nobody ran',
    make: async () => ({ env: await environment({ shop: appText() }, { DATABASE_URL: empty.url }) }),
    about: 'postgres',
    message: /migrations have not been run: 0001_devices/,
  },
  {
    name: 'a gateway whose authority is not in the file',
    make: async () => ({
      env: await environment({
        shop: appText({ gateway: { host: '127.0.0.1', port: gatewayPort, ca: 'foreign-ca.pem' } }),
      }),
    }),
    about: 'apps.shop',
    message: /is not trusted \(.*\): "localhost".*held against .*foreign-ca\.pem/,
  },
  {
    name: 'a gateway that speaks no TLS',
    make: async () => {
      const plain = createPlainServer((socket) =>
        socket.on('data', () => socket.destroy()).on('error', () => undefined),
      );
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
      const { port } = plain.address() as AddressInfo;
      return {
        env: await environment({ shop: appText({ gateway: { host: '127.0.0.1', port, ca: 'ca.pem' } }) }),
        undo: () => new Promise((resolve) => plain.close(resolve)),
      };
    },
    about: 'apps.shop',
    message: /shows no certificate/,
  },
  {
    name: 'a fleet without workers',
    make: async () => {
      await removeWorker(control(), 'one');
      return { env: await environment({ shop: appText() }), undo: beat };
    },
    about: 'workers',
    message: /none is alive/,
  },
  {
    name: 'an app that no worker knows',
    make: async () => ({ env: await environment({ news: appText() }) }),
    about: 'apps.news',
    message: /served by no worker/,
  },
  {
    name: 'an app that an operator has paused',
    make: async () => {
      await pauseApp(control(), 'shop', { cause: 'operator', reason: 'renewal', sinceMs: Date.now() });
      return { env: await environment({ shop: appText() }), undo: () => client.flushdb().then(beat) };
    },
    about: 'apps.shop',
    message: /is paused since .*, cause operator: renewal/,
  },
  {
    name: 'a worker of another version',
    make: async () => {
      const worker = { ...(await readWorkers(control()))[0]!, id: 'old', version: '0.0.1' };
      await beatWorker(control(), worker, 60_000);
      return { env: await environment({ shop: appText() }), undo: () => removeWorker(control(), 'old') };
    },
    about: 'workers',
    message: /1 of them runs another version \(0\.0\.1\)/,
  },
  {
    name: 'dead letters',
    make: async () => {
      const link = new WorkerLink({
        redis: client,
        prefix: 'pushfleet',
        lockDurationMs: 30_000,
        stalledIntervalMs: 30_000,
      });
      await link.open(5_000);
      const letter = { v: 1, error: 'unreadable', raw: '{', atMs: Date.now() } as const;
      await new DeadLetters(link, 'shop').keep('letter-1', letter);
      await link.close();
      return {
        env: await environment({ shop: appText() }),
        undo: () => discardDeadLetter(control(), 'shop', 'letter-1'),
      };
    },
    about: 'apps.shop',
    message: /has 1 dead letter$/,
  },
  {
    name: 'sweepers that stand still',
    make: async () => {
      await sweep('10 minutes');
      return { env: await environment({ shop: appText() }), undo: () => sweep('1 second') };
    },
    about: 'sweepers',
    message: /none has been at work for 10 min/,
  },
  {
    name: 'an API that wants a key',
    make: async () => {
      apiStatus = 401;
      return {
        env: await environment({ shop: appText() }),
        undo: async () => {
          apiStatus = 200;
        },
      };
    },
    about: 'api',
    message: /takes no key of ours: a key is needed/,
  },
  {
    name: 'an API that is not there',
    make: async () => ({
      env: await environment({ shop: appText() }, { PUSHFLEET_URL: 'http://127.0.0.1:2' }),
    }),
    about: 'api',
    message: /nothing answers at http:\/\/127\.0\.0\.1:2: ECONNREFUSED/,
  },
  {
    name: 'a variable that nobody obeys',
    make: async () => ({ env: await environment({ shop: appText() }, { PUSHFLEET_LOG_LEVLE: 'debug' }) }),
    about: 'configuration',
    message: /PUSHFLEET_LOG_LEVLE is not a variable of Pushfleet: did you mean PUSHFLEET_LOG_LEVEL\?/,
  },
  {
    name: 'a private key that everybody may read',
    make: async () => {
      await chmod(files.path('ck.pem'), 0o644);
      return { env: await environment({ shop: appText() }), undo: () => chmod(files.path('ck.pem'), 0o600) };
    },
    about: 'apps.shop',
    message: /every account of this machine may read .*ck\.pem/,
  },
];

test.each(mistakes)('finds $name, and nothing else', async ({ make, about, message }) => {
  const { env, undo } = await make();
  try {
    const found = bad(await examine(env));
    expect(found).toEqual([
      expect.objectContaining({ about, message: expect.stringMatching(message), advice: expect.any(String) }),
    ]);
  } finally {
    await undo?.();
  }
});

test('a disk that is full, or nearly, is told with what to do', () => {
  const gib = 1024 ** 3;
  expect(judgeDisk({ path: '/var/log', free: 0, size: 10 * gib })).toMatchObject({
    about: 'disk',
    severity: 'problem',
    message: '/var/log: 0.0 GiB free of 10.0 GiB',
    advice: expect.stringContaining('make room'),
  });
  expect(judgeDisk({ path: '/', free: gib / 2, size: gib })).toMatchObject({ severity: 'warning' });
  expect(judgeDisk({ path: '/', free: 4 * gib, size: 100 * gib })).toMatchObject({ severity: 'warning' });
  expect(judgeDisk({ path: '/', free: 6 * gib, size: 100 * gib })).toMatchObject({ severity: 'ok' });
});

test('finds a clock that is wrong', async () => {
  const found = bad(await examine(await environment({ shop: appText() }), () => Date.now() - 60_000));
  expect(found).toEqual([
    expect.objectContaining({ about: 'clock', message: expect.stringMatching(/\d+\.\d s behind Redis/) }),
    expect.objectContaining({ about: 'clock', message: expect.stringMatching(/\d+\.\d s behind Postgres/) }),
    expect.objectContaining({ about: 'clock', message: expect.stringMatching(/\d+\.\d s behind the API/) }),
  ]);
});

test('tells several mistakes at once, with exit code 1', async () => {
  const env = await environment(
    { shop: appText({ credential: { cert: 'expired.pem' } }) },
    { REDIS_URL: 'redis://127.0.0.1:1', DATABASE_URL: '' },
  );
  const { exitCode, stdout } = await runCli(['doctor'], env);
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/✗ configuration {2}DATABASE_URL is missing/);
  expect(stdout).toMatch(/✗ apps\.shop {6}.*expired/);
  expect(stdout).toMatch(/✗ redis/);
  expect(stdout).toMatch(/3 problems, 0 warnings$/m);
});
