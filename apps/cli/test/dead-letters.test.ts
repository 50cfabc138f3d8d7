import {
  createPushQueue,
  type DeadLetter,
  deadLetterKeys,
  type PoisonedLetter,
  readAuditOutbox,
} from '@pushfleet/push-queue';
import { DeadLetters, WorkerLink } from '@pushfleet/push-queue/worker';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createFleetFile } from './fleet-files.ts';
import { runCli } from './run-cli.ts';

const prefix = `${inject('redisPrefix')}-dead-letters`;
const { index } = deadLetterKeys(prefix, 'shop');
let file: Awaited<ReturnType<typeof createFleetFile>>;
let redis: Redis;
let env: NodeJS.ProcessEnv;
let link: WorkerLink;

beforeAll(async () => {
  file = await createFleetFile();
  env = { REDIS_URL: inject('redisUrl'), PUSHFLEET_REDIS_PREFIX: prefix, PUSHFLEET_CONFIG: file.path };
  redis = new Redis(inject('redisUrl'));
  link = new WorkerLink({
    redis: inject('redisUrl'),
    prefix,
    lockDurationMs: 30_000,
    stalledIntervalMs: 30_000,
  });
  await link.open(5_000);
});
beforeEach(async () => {
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.del(...keys);
});
afterAll(async () => {
  redis.disconnect();
  await link.close();
  await file.remove();
});

/** Lays a letter down as a worker does: what it holds was a push job of the queue. */
async function layDead(id: string, atMs = Date.now()): Promise<void> {
  const queue = createPushQueue({ redis: inject('redisUrl'), prefix: `${prefix}-source` });
  const { batchId } = await queue.enqueueBatch({
    app: 'shop',
    notifications: [{ token: 'ab'.repeat(32) }, { token: 'cd'.repeat(32) }],
    defaults: { alert: 'hello' },
  });
  await queue.close();
  const data = await redis.hget(`${prefix}-source:{shop}:transactional:${batchId}-1`, 'data');
  const letter: DeadLetter = {
    v: 1,
    reasons: { 1: 'attempts used up: status 1', 2: 'uncertain' },
    job: JSON.parse(data!),
    atMs,
  };
  await lay(id, letter);
}

async function lay(id: string, letter: DeadLetter | PoisonedLetter): Promise<void> {
  await new DeadLetters(link, 'shop').keep(id, letter);
}

const layPoisoned = async (id: string) =>
  lay(id, { v: 1, error: 'count: is missing', raw: '{"app":"shop"}', atMs: Date.now() });

test('letters are listed, the newest first, with what is in them', async () => {
  await layDead('one-1');
  await layPoisoned('two-1-poisoned');
  const { json } = await runCli(['dead-letters', 'list', 'shop', '--json'], env);
  expect(json).toMatchObject({
    total: 2,
    letters: [
      { id: 'two-1-poisoned', kind: 'poisoned', notifications: null, why: 'count: is missing' },
      { id: 'one-1', kind: 'dead', notifications: 2, why: 'attempts used up: status 1 ×1, uncertain ×1' },
    ],
  });
  expect(json).toMatchObject({
    reasons: { 'attempts used up: status 1': 1, uncertain: 1, poisoned: 1 },
    trimmed: { age: 0, bytes: 0 },
  });
  const first = await runCli(['dead-letters', 'list', 'shop', '--limit', '1'], env);
  const [, cursor = ''] = /more: --after (\S+)$/m.exec(first.stdout)!;
  const { stdout } = await runCli(['dead-letters', 'list', 'shop', '--limit', '1', '--after', cursor], env);
  expect(stdout).toMatch(/^one-1 .* 2 {2}attempts/m);
  expect(stdout).toMatch(/^1 of 2 letters/m);
});

test('a letter is shown with a reason for each notification, and without tokens', async () => {
  await layDead('one-1');
  const { stdout } = await runCli(['dead-letters', 'show', 'shop', 'one-1'], env);
  expect(stdout).toMatch(/^ +2 .*uncertain$/m);
  expect(stdout).not.toContain('abab');
});

test('a replay sends a letter again once, and takes it away; unreadable ones stay', async () => {
  await layDead('one-1');
  await layPoisoned('two-1-poisoned');
  const { exitCode, json } = await runCli(['dead-letters', 'replay', 'shop', '--all', '--json'], env);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    replayed: [{ letter: 'one-1', batchId: expect.any(String), notifications: 2 }],
    refused: [],
    unreadable: ['two-1-poisoned'],
  });
  expect(await redis.zrange(index, '0', '-1')).toEqual(['two-1-poisoned']);
  expect(await redis.hget(`${prefix}:{shop}:totals`, 'enqueued:transactional')).toBe('2');
});

test('a replay takes a filter and a rate, tells what it would do, and shows how far it is', async () => {
  await layDead('old-1', Date.now() - 3 * 3_600_000);
  await layDead('one-1');
  await layDead('two-1');
  const replay = ['dead-letters', 'replay', '--app', 'shop', '--reason', 'uncertain', '--since', '2h'];
  const dry = await runCli([...replay, '--dry-run', '--json'], env);
  expect(dry.json).toEqual({ app: 'shop', dryRun: true, letters: 2, notifications: 2, unreadable: [] });
  expect(await redis.exists(`${prefix}:{shop}:totals`)).toBe(0);
  const { exitCode, json } = await runCli([...replay, '--rate', '500', '--json'], env);
  expect(exitCode).toBe(0);
  expect(json).toMatchObject({
    notifications: 2,
    replayed: [
      { letter: 'two-1', notifications: 1 },
      { letter: 'one-1', notifications: 1 },
    ],
  });
  const left = await runCli(['dead-letters', 'list', 'shop', '--json'], env);
  expect(left.json).toMatchObject({ total: 3, reasons: { uncertain: 1, 'attempts used up: status 1': 3 } });
  const again = await runCli([...replay, '--json'], env);
  expect(again.json).toMatchObject({ notifications: 0 });
});

test('a discard takes a filter, and leaves what it does not mean', async () => {
  await layDead('one-1');
  await layPoisoned('two-1-poisoned');
  const discard = ['dead-letters', 'discard', '--app', 'shop', '--reason'];
  expect((await runCli([...discard, 'uncertain', '--json'], env)).json).toMatchObject({
    discarded: [],
    parts: ['one-1'],
  });
  expect((await runCli([...discard, 'poisoned'], env)).stdout).toBe('1 discarded\n');
  expect((await runCli(['dead-letters', 'list', 'shop', '--json'], env)).json).toMatchObject({
    total: 1,
    reasons: { 'attempts used up: status 1': 1 },
  });
});

test('discarding takes letters away', async () => {
  await layDead('one-1');
  await layPoisoned('two-1-poisoned');
  expect((await runCli(['dead-letters', 'discard', 'shop', 'one-1'], env)).stdout).toBe('1 discarded\n');
  expect((await runCli(['dead-letters', 'discard', 'shop', '--all'], env)).stdout).toBe('1 discarded\n');
  expect((await runCli(['dead-letters', 'list', 'shop'], env)).stdout).toBe('shop has no dead letters\n');
});

test('a letter that is not there is told, and so is a call that says nothing', async () => {
  const unknown = await runCli(['dead-letters', 'show', 'shop', 'none', '--json'], env);
  expect(unknown.exitCode).toBe(1);
  expect(unknown.json).toMatchObject({ error: { code: 'letter-unknown' } });
  const nothing = await runCli(['dead-letters', 'discard', 'shop'], env);
  expect(nothing).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/name a letter, or give --all/),
  });
});

test('what is replayed and discarded is on its way to the audit log, and what is only counted is not', async () => {
  await layDead('first-1');
  await layDead('second-1');
  await runCli(['dead-letters', 'discard', 'shop', '--all', '--dry-run'], env);
  await runCli(['dead-letters', 'replay', 'shop', 'first-1'], env);
  await runCli(['dead-letters', 'discard', 'shop', '--reason', 'uncertain'], env);
  const entries = await readAuditOutbox({ redis, prefix }, 10);
  const text = entries.map((entry) => entry.text).join();
  expect(text).not.toContain('ab'.repeat(32));
  const inOrder = entries.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((entry) => JSON.parse(entry.text));
  expect(inOrder).toMatchObject([
    {
      action: 'dead-letters.replay',
      app: 'shop',
      target: 'first-1',
      before: { letters: 1, notifications: 2 },
      after: { notifications: 2, letters: 1, refused: 0 },
      result: 'done',
    },
    {
      action: 'dead-letters.discard',
      target: null,
      before: { filter: { reason: 'uncertain' }, notifications: 1 },
      after: { parts: 1 },
      result: 'done',
    },
  ]);
});
