import { readFile } from 'node:fs/promises';
import { generateTokens, provideRedis } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cancel, createBatchId, createPushQueue, type PushQueue } from '../src/index.ts';
import { OutcomeReader } from '../src/outcomes/index.ts';
import { DeadLetters, decodePushJob, LaneQueue, Settlement, WorkerLink } from '../src/worker/index.ts';
import { counted } from './quota-probe.ts';

// What each kind of record takes in Redis, as the sizing table of docs/operations.md says it: by how much the memory
// that Redis uses rises with some hundreds or thousands of them.

const app = 'shop-prod';
const prefix = 'pushfleet';
const lane = 'transactional';
const tokens = generateTokens({ count: 1_000 });
const alert = { title: 'Your order', body: 'It is on its way, and will be with you between noon and two.' };
const uuid = (at: number) => `0193f0a4-7c3e-7000-8000-${String(at).padStart(12, '0')}`;

let server: Awaited<ReturnType<typeof provideRedis>>;
let redis: Redis;
let queue: PushQueue;
let link: WorkerLink;
beforeAll(async () => {
  server = await provideRedis({ own: true });
  redis = new Redis(server.url);
  queue = createPushQueue({ redis: server.url, prefix });
  link = new WorkerLink({ redis: server.url, prefix, lockDurationMs: 600_000, stalledIntervalMs: 600_000 });
  await link.open(5_000);
});
afterAll(async () => {
  await Promise.all([queue.close(), link.close()]);
  redis.disconnect();
  await server.stop();
});

async function usedBytes(): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))![1]);
}

/** Bytes of one of `count` records. What is there once for the whole app is there before. */
async function measure(count: number, write: (at: number) => Promise<unknown>): Promise<number> {
  await write(count);
  const before = await usedBytes();
  for (let at = 0; at < count; at++) await write(at);
  return ((await usedBytes()) - before) / count;
}

const single = (at: number) => ({
  app,
  notifications: [{ token: tokens[at % 1_000]!, alert: { ...alert, title: `Order ${at}` } }],
});
const many = () => ({ app, defaults: { alert }, notifications: tokens.map((token) => ({ token })) });

/** Takes a job and settles it. */
async function settled(outcome: 'accepted' | 'rejected' | 'dead') {
  const lanes = new LaneQueue(link, 'one', app, lane);
  const taken = await lanes.take();
  if (taken.kind !== 'taken') throw new Error('there is no job');
  const settlement = new Settlement(decodePushJob(taken.job.data, { app, lane }));
  if (outcome === 'accepted') {
    settlement.handOver(undefined);
    settlement.accept(0, settlement.job.count, 'proved');
  } else {
    settlement.handOver(undefined);
    for (let at = 0; at < settlement.job.count; at++) {
      if (outcome === 'rejected')
        settlement.reject(
          at,
          { reason: 'Unregistered', status: 410, tokenInvalid: true, unregisteredAtMs: Date.now() },
          Date.now(),
        );
      else
        settlement.retry(at, {
          reason: 'InternalServerError',
          status: 500,
          fault: 'notification',
          tokenInvalid: false,
        });
    }
    settlement.endTry(
      { attempts: 1, onUncertain: 'resend', retryForMs: 1, countTries: true, waitMs: () => 1 },
      Date.now(),
    );
  }
  const report = settlement.report({ id: taken.job.id, firstIndex: 1 }, Date.now());
  return { lanes, job: taken.job, settlement, report };
}

async function end(outcome: 'accepted' | 'rejected'): Promise<void> {
  const { lanes, job, report } = await settled(outcome);
  await lanes.report(job, report);
  await lanes.finish(job);
}

async function forget(): Promise<void> {
  const reader = new OutcomeReader({ redis: server.url, prefix, consumer: 'one' });
  for (let more = true; more; ) {
    const { reports } = await reader.read([app], 500);
    await reader.acknowledge(reports);
    more = reports.length > 0;
  }
  await reader.close();
}

const traces = () => redis.keys(`${prefix}:{${app}}:batch:*`);

const kinds: Readonly<Record<string, () => Promise<number>>> = {
  'push job, one notification': async () => {
    const bytes = await measure(3_000, (at) => queue.enqueueBatch(single(at)));
    const { sizes } = await counted({ redis, prefix }, app);
    // What quotas count is what there is.
    expect(sizes.queued.bytes / 3_001 / bytes).toBeGreaterThan(0.85);
    expect(sizes.queued.bytes / 3_001 / bytes).toBeLessThan(1.15);
    return bytes;
  },
  'notification in a push job of 1,000': async () =>
    (await measure(40, () => queue.enqueueBatch(many()))) / 1_000,
  'idempotency key': async () => {
    const plain = await measure(3_000, (at) => queue.enqueueBatch(single(at)));
    const keyed = await measure(3_000, (at) =>
      queue.enqueueBatch({ ...single(at), idempotencyKey: uuid(at) }),
    );
    return keyed - plain;
  },
  'trace of a batch': async () => {
    for (let at = 0; at < 3_001; at++) await queue.enqueueBatch(single(at));
    for (let at = 0; at < 3_000; at++) await end('accepted');
    await forget();
    const before = await usedBytes();
    const keys = await traces();
    await redis.del(keys);
    return (before - (await usedBytes())) / keys.length;
  },
  'outcome report': async () => {
    for (let at = 0; at < 2_001; at++) await queue.enqueueBatch(single(at));
    for (let at = 0; at < 2_000; at++) await end('accepted');
    await redis.del(await traces());
    const before = await usedBytes();
    await forget();
    return (before - (await usedBytes())) / 2_000;
  },
  'exception in an outcome report': async () => {
    for (let at = 0; at < 21; at++) await queue.enqueueBatch(many());
    for (let at = 0; at < 20; at++) await end('rejected');
    const before = await usedBytes();
    await forget();
    return (before - (await usedBytes())) / 20_000;
  },
  'dead letter, one notification': async () => {
    for (let at = 0; at < 1_001; at++) await queue.enqueueBatch(single(at));
    const letters = new DeadLetters(link, app);
    const { job, settlement } = await settled('dead');
    return measure(1_000, (at) => letters.keepDead({ ...job, id: `${uuid(at)}-1` }, settlement, Date.now()));
  },
  cancellation: () => measure(2_000, () => cancel({ redis, prefix }, app, createBatchId(), 3_600_000)),
};

test.each(Object.keys(kinds))('%s takes what the sizing table says', { timeout: 120_000 }, async (kind) => {
  await redis.flushall();
  const table = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const row = table.split('\n').find((line) => line.startsWith(`| ${kind} |`));
  const bytes = await kinds[kind]!();
  const told = Number(row?.split('|')[2]?.replaceAll(/[^\d]/g, ''));
  expect(bytes / told, `${kind}: ${bytes.toFixed(0)} bytes, told ${told}`).toBeGreaterThan(0.8);
  expect(bytes / told, `${kind}: ${bytes.toFixed(0)} bytes, told ${told}`).toBeLessThan(1.25);
});
