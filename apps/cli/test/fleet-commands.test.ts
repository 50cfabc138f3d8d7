import {
  beatWorker,
  clearAuditOutbox,
  createPushQueue,
  type FleetWorker,
  type PushQueue,
  readAuditOutbox,
  readPauses,
  removeWorker,
} from '@pushfleet/push-queue';
import { createTestDatabase } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { apps, createFleetFile } from './fleet-files.ts';
import { runCli } from './run-cli.ts';

const prefix = `${inject('redisPrefix')}-fleet-commands`;
let file: Awaited<ReturnType<typeof createFleetFile>>;
let queue: PushQueue;
let redis: Redis;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  file = await createFleetFile();
  env = { REDIS_URL: inject('redisUrl'), PUSHFLEET_REDIS_PREFIX: prefix, PUSHFLEET_CONFIG: file.path };
  redis = new Redis(inject('redisUrl'));
  queue = createPushQueue({ redis: inject('redisUrl'), prefix });
  const notifications = Array.from({ length: 1_500 }, (_, place) => ({
    token: place.toString(16).padStart(64, '0'),
    alert: 'hello',
  }));
  await queue.enqueueBatch({ app: 'shop', lane: 'bulk', notifications });
});
afterAll(async () => {
  await queue.close();
  redis.disconnect();
  await file.remove();
});

test('apps shows what was enqueued and what is open', async () => {
  const { exitCode, json } = await runCli(['apps', '--json'], env);
  expect(exitCode).toBe(0);
  expect(json.apps).toEqual([
    expect.objectContaining({ app: 'shop', enqueued: 1_500, open: 1_500, accepted: 0, pauses: [] }),
    expect.objectContaining({ app: 'news', enqueued: 0, open: 0 }),
  ]);
  const { stdout } = await runCli(['apps', 'shop'], env);
  expect(stdout).toMatch(/^app +transport +enqueued/);
  expect(stdout).toMatch(/^shop +binary +1,500 +0 +0 +0 +0 +0 +1,500$/m);
});

test('queues shows push jobs by lane, and how old the oldest is', async () => {
  const { json } = await runCli(['queues', 'shop', '--json'], env);
  expect(json.queues).toEqual([
    expect.objectContaining({ lane: 'transactional', open: 0, oldestAgeMs: null }),
    expect.objectContaining({
      lane: 'bulk',
      open: 1_500,
      jobs: { waiting: 2, active: 0, delayed: 0 },
      oldestAgeMs: expect.any(Number),
    }),
  ]);
  const limits = { queued: 20_000_000, scheduled: 5_000_000 };
  expect(json.quotas).toMatchObject([
    { app: 'shop', class: 'queued', notifications: { used: 1_500, limit: limits.queued } },
    {
      app: 'shop',
      class: 'scheduled',
      notifications: { used: 0, limit: limits.scheduled },
      bytes: { used: 0 },
    },
  ]);
  const { stdout } = await runCli(['queues'], env);
  expect(stdout.trimEnd().split('\n')).toHaveLength(1 + 2 * apps.length + 2 + 2 * apps.length);
});

test('an app is paused with a reason, shown as paused, and resumed', async () => {
  const paused = await runCli(['pause', 'news', '--reason', 'maintenance', '--json'], env);
  expect(paused.json).toEqual({ app: 'news', paused: ['operator'] });
  expect(await readPauses({ redis, prefix }, 'news')).toEqual([
    { cause: 'operator', reason: 'maintenance', sinceMs: expect.any(Number) },
  ]);
  expect((await runCli(['apps'], env)).stdout).toMatch(
    /news has been paused for \d+ s \(operator\): maintenance/,
  );

  const again = await runCli(['pause', 'news', '--reason', 'new certificate'], env);
  expect(again.stdout).toBe('news was paused already, and its reason stays: maintenance\n');

  const wrong = await runCli(['resume', 'news', '--cause', 'topic'], env);
  expect(wrong.stdout).toBe('news is still paused: operator\n');
  const resumed = await runCli(['resume', 'news'], env);
  expect(resumed.stdout).toBe('news runs\n');
  expect(await readPauses({ redis, prefix }, 'news')).toEqual([]);
});

test('workers, what they cannot do and which apps are slowed are shown', async () => {
  const sinceMs = Date.now() - 300_000;
  const trouble = {
    about: 'worker',
    reason: 'no authority',
    sinceMs,
    checkedAtMs: sinceMs,
    untilMs: 1,
  } as const;
  const worker: FleetWorker = {
    ...{ id: 'w1', host: 'blade', pid: 7, version: '0.1.0', sinceMs, apps: ['shop', 'news'] },
    troubles: { news: { ...trouble, isHold: false } },
    slowed: { shop: { cause: 'answers', sinceMs } },
  };
  await beatWorker({ redis, prefix }, worker, 60_000);
  const { json } = await runCli(['apps', '--json'], env);
  expect(json.apps).toMatchObject([
    { app: 'shop', workers: 1, slowed: [{ cause: 'answers', workers: 1 }], unable: [] },
    { app: 'news', slowed: [], unable: [{ host: 'blade', about: 'worker', reason: 'no authority' }] },
  ]);
  const { stdout } = await runCli(['apps'], env);
  expect(stdout).toContain('shop is slowed for 5 min at 1 of 1 worker (answers)');
  expect(stdout).toContain('news cannot be sent for by a worker at blade for 5 min (worker): no authority');
  expect((await runCli(['workers', '--json'], env)).json.workers).toEqual([worker]);
  expect((await runCli(['workers'], env)).stdout).toMatch(/^w1 +blade +7 +0\.1\.0 +5 min +2 +news +shop$/m);
  const resumed = await runCli(['resume', 'news'], env);
  expect(resumed.stdout).toMatch(
    /^news runs\nstill refused at blade: no authority .*\n1 worker has had no answer/,
  );
  await removeWorker({ redis, prefix }, 'w1');
});

test('an app that does not exist is told, with those that do', async () => {
  const { exitCode, stderr } = await runCli(['pause', 'nobody'], env);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/There is no app nobody .*: there are shop, news/);
});

test('without Redis a command says so instead of waiting', async () => {
  const { exitCode, json } = await runCli(['queues', '--json'], { ...env, REDIS_URL: 'redis://127.0.0.1:1' });
  expect(exitCode).toBe(1);
  expect(json.error).toEqual({
    code: 'redis-unavailable',
    message: expect.stringMatching(/^Redis cannot be reached: .*ECONNREFUSED/),
  });
});

test('without a configuration all problems are told at once', async () => {
  const { exitCode, stderr } = await runCli(['apps'], { PUSHFLEET_CONFIG: '/nowhere.yaml' });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/REDIS_URL: is missing/);
  expect(stderr).toMatch(/PUSHFLEET_CONFIG: \/nowhere\.yaml cannot be read/);
});

test('migrate brings a database up to date, once', async () => {
  const database = await createTestDatabase(inject('databaseUrl'));
  try {
    const first = await runCli(['migrate', '--json'], { DATABASE_URL: database.url });
    expect(first.json.migrations).toContain('0001_devices');
    const second = await runCli(['migrate'], { DATABASE_URL: database.url });
    expect(second.stdout).toBe('The schema is up to date\n');
  } finally {
    await database.drop();
  }
  const { exitCode, stderr } = await runCli(['migrate'], {});
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr: expect.stringMatching(/DATABASE_URL is missing/),
  });
});

test('a reason that would command the terminal, or pass for a line of its own, is shown escaped', async () => {
  await runCli(['pause', 'news', '--reason', 'a\u001b[2J\u202e\nshop  gone'], env);
  const { stdout } = await runCli(['apps', 'news'], env);
  expect(stdout).toContain('a\\u001b[2J\\u202e\\u000ashop  gone');
  await runCli(['resume', 'news'], env);
});

test('who pauses and resumes an app is on its way to the audit log, from whichever terminal', async () => {
  const options = { redis, prefix };
  await clearAuditOutbox(options, await readAuditOutbox(options, 1_000));
  const ssh = { ...env, SSH_CONNECTION: '192.0.2.7 50000 192.0.2.1 22' };
  await runCli(['pause', 'shop', '--reason', 'certificate'], ssh);
  await runCli(['resume', 'shop', '--cause', 'operator'], env);
  const entries = (await readAuditOutbox(options, 10)).map(({ text }) => JSON.parse(text));
  expect(entries.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toMatchObject([
    {
      action: 'app.pause',
      actor: { kind: 'cli', id: expect.stringMatching(/^.+@.+$/) },
      address: '192.0.2.7',
      before: { pauses: [] },
      after: { pauses: [{ cause: 'operator', reason: 'certificate' }] },
      result: 'done',
    },
    { action: 'app.resume', address: null, before: { pauses: [{}] }, after: { pauses: [] }, result: 'done' },
  ]);
});
