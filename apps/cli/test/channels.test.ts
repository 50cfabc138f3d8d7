import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAuditOutbox } from '@pushfleet/push-queue';
import { findFreePort, type Simulator, startSimulator } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { runCli } from './run-cli.ts';

const prefix = `${inject('redisPrefix')}-channels`;
let simulator: Simulator;
let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [simulator, folder] = await Promise.all([
    startSimulator({ args: ['--environment', 'production'] }),
    mkdtemp(join(tmpdir(), 'pushfleet-cli-')),
  ]);
  const inTlsDir = (name: string): string => join(simulator.tlsDir, name);
  const http2 = `topic: com.example.shop, environment: production, transport: http2`;
  const gateway = `gateway: { host: localhost, port: ${simulator.http2Port}, ca: ${inTlsDir('ca.pem')} }`;
  const certificate = `credential: { cert: ${inTlsDir('client.pem')}, key: ${inTlsDir('client-key.pem')} }`;
  const key = (id: string): string =>
    `credential: { p8: ${inTlsDir('AuthKey.p8')}, keyId: ${id}, teamId: PUSHFLEET1 }`;
  await writeFile(
    join(folder, 'pushfleet.yaml'),
    `apps:
  shop: { ${http2}, ${gateway}, ${certificate} }
  keyed: { ${http2}, ${gateway}, ${key('SIMULATED1')} }
  unknown-key: { ${http2}, ${gateway}, ${key('OTHERKEY12')} }
  away: { ${http2}, gateway: { host: localhost, port: ${await findFreePort()} }, ${certificate} }
  old: { topic: com.example.shop, environment: production, transport: binary, ${certificate} }
`,
  );
  env = {
    PUSHFLEET_CONFIG: join(folder, 'pushfleet.yaml'),
    REDIS_URL: inject('redisUrl'),
    PUSHFLEET_REDIS_PREFIX: prefix,
  };
});
beforeEach(() => simulator.control.reset());
afterAll(async () => {
  await simulator.stop();
  await rm(folder, { recursive: true });
});

async function channels(...args: string[]) {
  const { exitCode, json } = await runCli(['channels', ...args, '--json'], env);
  return { exitCode, json };
}

describe.each(['shop', 'keyed'])('with the credential of %s', (app) => {
  test('a channel is made, listed, read and deleted', async () => {
    expect(await channels('list', '--app', app)).toEqual({ exitCode: 0, json: { app, channels: [] } });
    const made = await channels('create', '--app', app, '--storage', 'latest');
    expect(made).toEqual({
      exitCode: 0,
      json: { app, channel: expect.stringMatching(/^[A-Za-z0-9+/]{24}$/), storage: 'latest' },
    });
    const channel = made.json.channel as string;
    expect((await channels('list', '--app', app)).json).toEqual({ app, channels: [channel] });
    expect((await channels('read', channel, '--app', app)).json).toEqual({
      app,
      channel,
      storage: 'latest',
    });
    expect((await channels('delete', channel, '--app', app)).json).toEqual({ app, deleted: channel });
    expect((await channels('list', '--app', app)).json).toEqual({ app, channels: [] });
  });
});

test('people read ids, one a line, and what is kept', async () => {
  const { stdout: made } = await runCli(['channels', 'create', '--app', 'shop', '--storage', 'none'], env);
  const channel = made.trim();
  expect((await runCli(['channels', 'list', '--app', 'shop'], env)).stdout).toBe(`${channel}\n`);
  expect((await runCli(['channels', 'read', channel, '--app', 'shop'], env)).stdout).toContain(
    'keeps nothing',
  );
});

test('what is made and deleted is on its way to the audit log', async () => {
  const made = await channels('create', '--app', 'shop', '--storage', 'none');
  const channel = made.json.channel as string;
  await channels('delete', channel, '--app', 'shop');
  await channels('delete', channel, '--app', 'shop');
  const redis = new Redis(inject('redisUrl'));
  const found = await readAuditOutbox({ redis, prefix }, 100);
  redis.disconnect();
  const entries = found
    .map(({ text }) => JSON.parse(text) as Record<string, unknown>)
    .filter(({ target, after }) => target === channel || (after as { channel?: string }).channel === channel)
    .sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
  expect(entries).toMatchObject([
    { action: 'channel.create', app: 'shop', after: { channel, storage: 'none' }, result: 'done' },
    { action: 'channel.delete', app: 'shop', target: channel, result: 'done' },
    { action: 'channel.delete', app: 'shop', target: channel, result: 'failed' },
  ]);
  expect(entries[0]).toMatchObject({ actor: { kind: 'cli', id: expect.stringContaining('@') } });
});

test('a provider key signs once for all calls, and for the fleet', async () => {
  for (let call = 0; call < 3; call++) await channels('list', '--app', 'keyed');
  const redis = new Redis(inject('redisUrl'));
  expect(await redis.keys(`${prefix}:{token.*`)).toHaveLength(1);
  redis.disconnect();
});

test.each([
  [
    'a channel that is none of the app',
    ['delete', 'bm9uZQ==', '--app', 'shop'],
    'channel-refused',
    'channels list shows',
  ],
  ['an id that cannot be one', ['read', 'a b', '--app', 'shop'], 'channel-request-invalid', 'channelId'],
  [
    'a key that the gateway does not know',
    ['list', '--app', 'unknown-key'],
    'channel-refused',
    'InvalidProviderToken',
  ],
  [
    'a gateway that is away',
    ['create', '--app', 'away', '--storage', 'none'],
    'channel-unreachable',
    'whether it was done',
  ],
  ['an app that is not there', ['list', '--app', 'shoe'], 'app-unknown', 'did you mean shop?'],
])('%s is said, with 1', async (_, args, code, message) => {
  const { exitCode, json } = await channels(...args);
  expect(exitCode).toBe(1);
  expect(json.error).toEqual({ code, message: expect.stringContaining(message) });
});

test('an app with a provider key says where its token is, when Redis is not there', async () => {
  const without = { ...env, REDIS_URL: undefined };
  const missing = await runCli(['channels', 'list', '--app', 'keyed', '--json'], without);
  expect(missing.json.error).toMatchObject({ message: expect.stringContaining('REDIS_URL: is missing') });
  expect((await runCli(['channels', 'list', '--app', 'shop'], without)).exitCode).toBe(0);
});

test.each([
  ['no app', ['list'], '--app'],
  ['an app on binary', ['list', '--app', 'old'], 'apps.old.transport is binary'],
  ['nothing to keep', ['create', '--app', 'shop'], '--storage'],
  ['something else to keep', ['create', '--app', 'shop', '--storage', 'all'], 'none, latest'],
])('%s is a wrong call, with 2', async (_, args, message) => {
  const { exitCode, json } = await channels(...args);
  expect(exitCode).toBe(2);
  expect((json.error as { message: string }).message).toContain(message);
});

test('a check that proves uses the token of the fleet, before and after the first push', async () => {
  const check = async (env: NodeJS.ProcessEnv) =>
    (await runCli(['credentials', 'check', '--app', 'keyed', '--prove', '--json'], env)).json;
  // The gateway takes one new token in twenty minutes.
  expect(await check(env)).toMatchObject({ inOrder: true });
  expect((await channels('list', '--app', 'keyed')).exitCode).toBe(0);
  expect(await check(env)).toMatchObject({ inOrder: true });
  const { REDIS_URL: _, ...alone } = env;
  const own = await check(alone);
  expect(JSON.stringify(own)).toContain('TooManyProviderTokenUpdates');
});
