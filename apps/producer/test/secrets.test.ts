import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  createPrivateFolder,
  createTestDatabase,
  type PrivateFolder,
  provideRedis,
  type RedisService,
  type StartedService,
  startService,
  type TestDatabase,
  writeFleetFile,
} from '@pushfleet/testkit';
import { createTestCertificates } from '@pushfleet/testkit/certificates';
import { openTokenStore } from '@pushfleet/token-store';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import {
  type HostileGateway,
  openHostileGateway,
  openQuotingPostgres,
  openQuotingRedis,
  type QuotingProxy,
} from './secrets/hostile-servers.ts';

// A fleet whose every secret is known meets every refusal: none of them comes out anywhere.

vi.setConfig({ testTimeout: 120_000 });
const deadline = { timeout: 90_000, interval: 100 };

const secrets = {
  redisPassword: 'canaryRedis5f2a7c1e',
  postgresPassword: 'canaryPostgres5f2a7c1e',
  boardKey: 'canaryBoard5f2a7c1e9b',
  hookPath: 'canaryHook5f2a7c1e',
  passphrase: 'canaryPassphrase5f2a',
  proxyCredential: 'canaryProxy5f2a7c1e',
};
/** What a tenant may see of its own, and nobody else anywhere. */
const token = 'c0ffee5f2a7c1e9b'.repeat(4);
const personal = {
  token,
  tokenBase64: Buffer.from(token, 'hex').toString('base64').slice(2, 40),
  alert: 'canaryAlert5f2a7c1e',
  user: 'canaryUser5f2a7c1e',
};
let more: Record<string, string> = {};

let folder: PrivateFolder;
let redis: RedisService;
let admin: Redis;
let database: TestDatabase;
let redisProxy: QuotingProxy;
let postgresProxy: QuotingProxy;
let gateway: HostileGateway;
let hook: Server;
let hookRequests = 0;
const fleet: StartedService[] = [];
/** Everything that came out: where, and what. */
const seen: { readonly place: string; readonly text: string; readonly isOwn?: boolean }[] = [];

beforeAll(async () => {
  folder = await createPrivateFolder('secrets');
  redis = await provideRedis({ own: true, say: () => undefined });
  admin = new Redis(redis.url);
  await admin.call(
    'ACL',
    'SETUSER',
    'pushfleet',
    'reset',
    'on',
    `>${secrets.redisPassword}`,
    '~*',
    '&*',
    '+@all',
  );
  database = await createTestDatabase(inject('databaseUrl'));
  const certificates = await createTestCertificates();
  const { p8, keyId, teamId } = certificates.providerKey;
  gateway = await openHostileGateway(certificates.server);
  [redisProxy, postgresProxy] = await Promise.all([
    openQuotingRedis(redis.url),
    openQuotingPostgres(database.url),
  ]);
  hook = createServer((request, response) => {
    hookRequests += 1;
    let body = '';
    request.on('data', (bytes: Buffer) => {
      body += bytes.toString();
    });
    request.on('end', () => {
      seen.push({ place: 'an event', text: body, isOwn: true });
      response.statusCode = 500;
      response.statusMessage = 'no';
      response.end(`${request.url} ${JSON.stringify(request.headers)} ${body}`);
    });
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const file = async (name: string, content: string | Buffer) => {
    await writeFile(join(folder.path, name), content);
    return join(folder.path, name);
  };
  const p12 = certificates.production.toPkcs12({ passphrase: 'another' });
  const shared = { topic: 'com.example.shop', environment: 'production', transport: 'http2' };
  const at = {
    host: 'localhost',
    port: gateway.port,
    ca: await file('ca.pem', certificates.authority.certificatePem),
  };
  const configPath = await writeFleetFile(folder.path, {
    shop: { ...shared, gateway: at, credential: { p8: await file('key.p8', p8), keyId, teamId } },
    news: {
      ...shared,
      gateway: at,
      credential: {
        p12: await file('shop.p12', p12),
        passphraseFile: await file('passphrase', secrets.passphrase),
      },
    },
  });
  const redisUrl = `redis://pushfleet:${secrets.redisPassword}@127.0.0.1:${redisProxy.port}`;
  const databaseUrl = new URL(database.url);
  databaseUrl.port = String(postgresProxy.port);
  databaseUrl.hostname = '127.0.0.1';
  // Its server takes any password, or the one that it has; the canary is in the name that it is told beside.
  databaseUrl.searchParams.set('application_name', 'pushfleet');
  databaseUrl.searchParams.set('options', `-c pushfleet.secret=${secrets.postgresPassword}`);
  const environment = {
    redisUrl,
    redisPrefix: 'secrets',
    databaseUrl: databaseUrl.href,
    configPath,
    env: {
      PUSHFLEET_LOG_LEVEL: 'trace',
      PUSHFLEET_DRAIN_TIMEOUT: '3s',
      PUSHFLEET_AUTH: 'keys',
      PUSHFLEET_BOARD_KEY: secrets.boardKey,
      PUSHFLEET_WEBHOOKS_PRIVATE: 'allow',
    },
  };
  for (const name of ['producer', 'worker', 'sweeper'] as const) {
    const service = await startService(name, environment);
    for (const { text, stream } of service.process.lines) seen.push({ place: `${name}, ${stream}`, text });
    service.process.onLine(({ text, stream }) => seen.push({ place: `${name}, ${stream}`, text }));
    fleet.push(service);
  }
  const store = openTokenStore({ connectionString: database.url });
  const key = await vi.waitFor(
    () => store.apiKeys.create({ name: 'all', apps: null, scopes: ['admin'] }),
    deadline,
  );
  await store.close();
  const p8Lines = p8.split('\n').filter((line) => line.length > 20);
  more = { apiKey: key.text, ...Object.fromEntries(p8Lines.map((line, place) => [`p8 ${place}`, line])) };
  await vi.waitFor(
    async () => expect((await ask('GET', '/v1/webhooks?app=shop')).status).toBe(200),
    deadline,
  );
}, 180_000);

afterAll(async () => {
  await Promise.all(fleet.map((service) => service.kill()));
  await Promise.all([redisProxy?.close(), postgresProxy?.close(), gateway?.close()]);
  hook?.close();
  admin?.disconnect();
  await redis?.stop();
  await database?.drop();
  await folder?.remove();
}, 60_000);

async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${fleet[0]!.port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${more.apiKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // A webhook's secret is told when it is made.
  const isSecretTold = answer.status === 201 && path === '/v1/webhooks';
  if (isSecretTold) more.webhook = (JSON.parse(text) as { secret: string }).secret;
  else seen.push({ place: `${method} ${path.slice(0, 20)}`, text, isOwn: answer.status < 400 });
  return { status: answer.status, text };
}

const alert = { title: personal.alert, body: personal.alert };
const custom = { secret: personal.alert };

/** Asks for everything that the fleet does, and looks at every page of it. */
async function exercise(): Promise<void> {
  const app = 'shop';
  await Promise.all([
    ask('POST', '/v1/notifications', { app, token, alert, custom }),
    ask('POST', '/v1/notifications', { app, defaults: { alert }, notifications: [{ token }, { token }] }),
    ask('POST', '/v1/notifications', { app, userId: personal.user, alert }),
    ask('PUT', `/v1/devices/${token}`, { app, userId: personal.user }),
    ask('GET', `/v1/devices/${token}?app=shop`),
    ask('GET', `/v1/devices?app=shop&userId=${personal.user}`),
    ask('POST', '/v1/broadcasts', { app, alert, audience: { all: true } }),
    ask('GET', '/v1/apps/shop'),
    ask('POST', '/v1/apps/news/pause', { reason: 'x' }),
    ask('POST', '/v1/apps/news/resume'),
    ask('GET', '/v1/apps/shop/dead-letters'),
    ask('GET', '/v1/batches/0198c0de-0000-7000-8000-000000000000'),
  ]);
  for (const { adminPort } of fleet) {
    for (const page of ['metrics', 'readyz', 'livez']) await look(`http://127.0.0.1:${adminPort}/${page}`);
  }
  for (const queue of ['transactional', 'bulk', 'dead-letters']) {
    const page = `/board/api/queues?activeQueue=shop%2F${queue}&status=latest`;
    await look(`http://127.0.0.1:${fleet[0]!.adminPort}${page}`);
  }
}

async function look(url: string): Promise<void> {
  const authorization = `Basic ${btoa(`x:${secrets.boardKey}`)}`;
  const answer = await fetch(url, { headers: { authorization } });
  seen.push({ place: new URL(url).pathname, text: await answer.text() });
}

async function untilSendsGo(): Promise<void> {
  const body = { app: 'shop', token, alert };
  await vi.waitFor(async () => {
    expect((await ask('POST', '/v1/notifications', body)).status).toBe(202);
    expect((await ask('GET', '/v1/webhooks?app=shop')).status).toBe(200);
  }, deadline);
}

/** Where a secret came out. */
function leaks(): string[] {
  const always = { ...secrets, ...more };
  const provider = [...gateway.providerTokens].filter((each) => each.length > 20);
  return seen.flatMap(({ place, text, isOwn }) => {
    const found = Object.entries(isOwn === true ? always : { ...always, ...personal })
      .filter(([name, secret]) => text.includes(secret) && !(name === 'hookPath' && isOwn === true))
      .map(([name]) => name);
    if (provider.some((each) => text.includes(each))) found.push('provider token');
    return found.map((name) => `${name} in ${place}: ${text.slice(0, 600)}`);
  });
}

const setUser = (...rules: string[]) => admin.call('ACL', 'SETUSER', 'pushfleet', ...rules);
const leaveAll = () => admin.call('CLIENT', 'KILL', 'USER', 'pushfleet');

test.each<[name: string, begin: () => unknown, end: () => unknown]>([
  ['nothing', () => undefined, () => undefined],
  ['Redis is full', () => admin.config('SET', 'maxmemory', '1'), () => admin.config('SET', 'maxmemory', '0')],
  [
    'Redis lacks replicas',
    () => admin.config('SET', 'min-replicas-to-write', '1'),
    () => admin.config('SET', 'min-replicas-to-write', '0'),
  ],
  [
    'Redis is a replica',
    () => admin.call('REPLICAOF', '127.0.0.1', '1'),
    () => admin.call('REPLICAOF', 'NO', 'ONE'),
  ],
  ['Redis grants no writes', () => setUser('-@write', '-eval', '-evalsha'), () => setUser('+@all')],
  [
    'Redis refuses the password',
    async () => {
      await setUser('resetpass', '>another');
      await leaveAll();
    },
    () => setUser('resetpass', `>${secrets.redisPassword}`),
  ],
  ['Redis knows no command and quotes it', () => redisProxy.quote(true), () => redisProxy.quote(false)],
  ['Postgres refuses and quotes', () => postgresProxy.quote(true), () => postgresProxy.quote(false)],
])('no secret comes out while %s', async (_name, begin, end) => {
  await begin();
  try {
    await exercise();
    await exercise();
  } finally {
    await end();
  }
  await untilSendsGo();
  expect(leaks()).toEqual([]);
});

test('no secret comes out of what a gateway and a webhook answer that quote what they were sent', async () => {
  const { port } = hook.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/${secrets.hookPath}?token=${secrets.hookPath}`;
  const made = await ask('POST', '/v1/webhooks', { app: 'shop', url });
  expect(made.status).toBe(201);
  await ask('POST', '/v1/apps/shop/pause', { reason: 'x' });
  await ask('POST', '/v1/apps/shop/resume');
  await vi.waitFor(async () => {
    await exercise();
    expect(gateway.isThrough).toBe(true);
    expect(hookRequests).toBeGreaterThan(0);
  }, deadline);
  await exercise();
  expect(leaks()).toEqual([]);
});

test('no secret comes out of the stop', async () => {
  redisProxy.quote(true);
  await Promise.all(fleet.map((service) => service.stop()));
  expect(leaks()).toEqual([]);
  // It says something, or nothing was tried.
  expect(seen.filter(({ place }) => place.includes('stdout')).length).toBeGreaterThan(20);
});
