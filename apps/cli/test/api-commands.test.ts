import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createPrivateFolder,
  createTestDatabase,
  generateTokens,
  type PrivateFolder,
  type StartedService,
  startService,
  type TestDatabase,
} from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { apps, createFleetFile } from './fleet-files.ts';
import { runCli } from './run-cli.ts';

// Against a producer of its own. No worker takes what is sent.

const prefix = `${inject('redisPrefix')}-api-commands`;
let file: Awaited<ReturnType<typeof createFleetFile>>;
let folder: PrivateFolder;
let database: TestDatabase;
let producer: StartedService;
let redis: Redis;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [file, folder, database] = await Promise.all([
    createFleetFile(),
    createPrivateFolder('cli-api'),
    createTestDatabase(inject('databaseUrl')),
  ]);
  producer = await startService('producer', {
    redisUrl: inject('redisUrl'),
    redisPrefix: prefix,
    databaseUrl: database.url,
    configPath: file.path,
  });
  redis = new Redis(inject('redisUrl'));
  env = { PUSHFLEET_URL: `http://127.0.0.1:${producer.port}` };
}, 60_000);
afterAll(async () => {
  redis?.disconnect();
  await producer?.stop();
  await Promise.all([file?.remove(), folder?.remove(), database?.drop()]);
});

const enqueued = async (lane: string) =>
  Number(await redis.hget(`${prefix}:{shop}:totals`, `enqueued:${lane}`));
const [app] = apps;
const tokens = generateTokens({ count: 2_000 });

async function writeDevices(name: string, lines: readonly string[]): Promise<string> {
  const path = join(folder.path, name);
  await writeFile(path, lines.join('\n'));
  return path;
}

test('a notification is sent to devices, once per key', async () => {
  const before = await enqueued('transactional');
  const args = [
    'send',
    '--app',
    app,
    '--token',
    tokens[0]!,
    tokens[1]!,
    '--title',
    'Shop',
    '--alert',
    'Hello',
  ];
  const first = await runCli([...args, '--idempotency-key', 'k1', '--json'], env);
  expect(first.exitCode).toBe(0);
  expect(first.json).toMatchObject({ batchId: expect.any(String), notificationIds: { length: 2 } });
  const second = await runCli([...args, '--idempotency-key', 'k1'], env);
  expect(second.stdout).toMatch(/sent already/);
  expect((await enqueued('transactional')) - before).toBe(2);
});

test('a call that says nothing, or to nobody, is told so before anything is sent', async () => {
  const nobody = await runCli(['send', '--app', app, '--alert', 'x'], env);
  expect(nobody).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--token or --user/) });
  const nothing = await runCli(['send', '--app', app, '--token', tokens[0]!], env);
  expect(nothing).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--alert/) });
  const audience = await runCli(['broadcast', '--app', app, '--alert', 'x'], env);
  expect(audience).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--all, --tag/) });
  const both = await runCli(['broadcast', '--app', app, '--all', '--tag', 'vip', '--alert', 'x'], env);
  expect(both).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--all is everybody/) });
  const payload = await runCli(['send', '--app', app, '--token', tokens[0]!, '--payload', '[]'], env);
  expect(payload).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/must be a JSON object/) });
});

test('what the API refuses is told with its fields', async () => {
  const { exitCode, stderr } = await runCli(['send', '--app', app, '--token', 'abc', '--alert', 'x'], env);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/notifications\[?\.?0\]?\.token/);
  const away = await runCli(['send', '--app', app, '--token', tokens[0]!, '--alert', 'x', '--json'], {
    PUSHFLEET_URL: 'http://127.0.0.1:1',
  });
  expect(away.json.error).toMatchObject({ code: 'unreachable' });
});

test('devices are imported, lines that are not right told by their numbers, and an audience is counted and sent to', async () => {
  const csv = await writeDevices('devices.csv', [
    'token,userId,tags',
    ...tokens
      .slice(0, 900)
      .map((token, place) => `${token},user-${place},${place % 3 === 0 ? 'vip' : 'plain;silent'}`),
    'not-a-token,user-x,',
  ]);
  const imported = await runCli(['devices', 'import', csv, '--app', app, '--json'], env);
  expect(imported.exitCode).toBe(1);
  expect(imported.json).toMatchObject({
    imported: 900,
    errorCount: 1,
    errors: [{ line: 902, field: 'token' }],
  });

  const counted = await runCli(
    ['broadcast', '--app', app, '--tag', 'vip', '--alert', 'Sale', '--dry-run'],
    env,
  );
  expect(counted.stdout).toBe('300 devices; nothing was sent\n');
  const others = await runCli(
    ['broadcast', '--app', app, '--not-tag', 'vip', '--alert', 'x', '--dry-run', '--json'],
    env,
  );
  expect(others.json).toEqual({ devices: 600 });
  const sent = await runCli(['broadcast', '--app', app, '--tag', 'vip', '--alert', 'Sale', '--json'], env);
  expect(sent.json).toMatchObject({ broadcastId: expect.any(String), app });
});

test('an import that was interrupted goes on where it stopped', async () => {
  const lines = tokens.slice(900).map((token) => JSON.stringify({ token }));
  const path = await writeDevices('devices.ndjson', lines);
  const { size, mtimeMs } = await stat(path);
  const half = lines.slice(0, 600);
  // What an interrupted import leaves beside the file.
  const progress = { bytes: half.join('\n').length + 1, lines: 600, imported: 600, errorCount: 0 };
  await writeFile(`${path}.${app}.progress`, JSON.stringify({ size, modifiedMs: mtimeMs, app, progress }));
  const resumed = await runCli(['devices', 'import', path, '--app', app], env);
  expect(resumed.stderr).toMatch(/goes on at line 601/);
  expect(resumed.stdout).toBe('1,100 devices registered, 0 lines passed over\n');
  await expect(stat(`${path}.${app}.progress`)).rejects.toThrow('ENOENT');
  // The first half was not sent again.
  const { json } = await runCli(
    ['broadcast', '--app', app, '--all', '--alert', 'x', '--dry-run', '--json'],
    env,
  );
  expect(json).toEqual({ devices: 900 + 500 });
});
