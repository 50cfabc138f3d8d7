import { cancel, heldKey, parseNotificationId } from '@pushfleet/push-queue';
import { OutcomeReader } from '@pushfleet/push-queue/outcomes';
import { generateTokens, provideRedis, startSimulator } from '@pushfleet/testkit';
import { test as base, expect, vi } from 'vitest';
import { enqueueMany, startWorker } from './worker-process.ts';
import { letters, type Rig, reject, withRedis } from './worker-test.ts';

const tokens = generateTokens({ count: 2_000, seed: 7 });

/** On a Redis of its own, since it is filled. */
const test = base.extend<{ rig: Rig }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern.
  rig: async ({}, use) => {
    const [server, simulator] = await Promise.all([provideRedis({ own: true }), startSimulator()]);
    await withRedis(simulator, server.url, 'full', use);
    await Promise.all([server.stop(), simulator.stop()]);
  },
});

/** From now on Redis refuses whatever may take memory, but for scripts that say that they may. */
async function fill(rig: Rig): Promise<void> {
  await rig.redis.config('SET', 'maxmemory', 1);
  await expect(rig.redis.set('one', 'more')).rejects.toThrow(/^OOM/);
}

/** Until nothing is left, with Redis as full as it was; the sums are equal, and the reports are there to be read. */
async function drained(rig: Rig, expected: object): Promise<void> {
  const totals = await rig.settled('shop', 60_000);
  expect(totals).toMatchObject(expected);
  await vi.waitFor(async () => expect(await rig.jobsLeft()).toBe(0), { timeout: 60_000, interval: 50 });
  const reader = new OutcomeReader({ redis: rig.redisUrl, prefix: rig.prefix, consumer: 'one' });
  let reported = 0;
  for (let more = true; more; ) {
    const { reports, failed } = await reader.read(['shop'], 100);
    expect(failed).toEqual([]);
    for (const { report } of reports) reported += report.count;
    await reader.acknowledge(reports);
    more = reports.length > 0;
  }
  expect(await reader.backlog(['shop'])).toMatchObject([{ reports: 0 }]);
  await reader.close();
  expect(reported).toBe(totals.enqueued);
  const held = await rig.redis.hgetall(heldKey(rig.prefix, 'shop'));
  expect(held).toMatchObject({ 'queued-notifications': '0', 'queued-bytes': '0' });
  await expect(rig.redis.set('one', 'more')).rejects.toThrow(/^OOM/);
  await expect(rig.enqueue(tokens.slice(0, 1))).rejects.toMatchObject({ maybeStored: false });
}

/** Held by workers, and nothing of it answered. */
async function stalled(rig: Rig): Promise<void> {
  await vi.waitFor(async () => expect(await rig.active()).toBeGreaterThan(0), {
    timeout: 30_000,
    interval: 20,
  });
}

test('a Redis that is full before push jobs are taken is drained', { timeout: 120_000 }, async ({ rig }) => {
  await rig.enqueue(tokens);
  await rig.enqueue(tokens.slice(0, 500), 'bulk');
  for (const token of tokens.slice(0, 20)) await rig.queue.enqueue({ app: 'shop', token, alert: token });
  await fill(rig);
  await rig.openWorker();
  await drained(rig, { enqueued: 2_520, accepted: 2_520 });
  expect((await rig.simulator.control.ledger()).duplicates).toBe(0);
});

test('one that fills up while jobs are held is drained', { timeout: 150_000 }, async ({ rig }) => {
  await enqueueMany(rig, 50_000);
  await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 500_000 } }]);
  await rig.openWorker();
  await stalled(rig);
  await fill(rig);
  await rig.setFaults([]);
  await drained(rig, { enqueued: 50_000, accepted: 50_000 });
});

test('what is put off, dead, cancelled or not readable ends while Redis is full', {
  timeout: 120_000,
}, async ({ rig }) => {
  await rig.setFaults([
    reject({ token: [tokens[10]!] }, { status: 1 }),
    reject({ token: [tokens[11]!] }, { status: 1, times: 2 }),
    reject({ token: [tokens[12]!] }),
  ]);
  await rig.enqueue(tokens.slice(0, 100));
  const cancelled = await rig.enqueue(tokens.slice(100, 200));
  await rig.addRaw('transactional', 'not-ours', '{');
  await fill(rig);
  const control = { redis: rig.redis, prefix: rig.prefix };
  await cancel(control, 'shop', parseNotificationId(cancelled.notificationIds[0]!)!.batch, 60_000);
  await rig.openWorker([rig.app({ attempts: 3 })]);
  await drained(rig, { enqueued: 200, accepted: 98, rejected: 1, dead: 1, cancelled: 100 });
  expect((await letters(rig)).map(({ name }) => name).toSorted()).toEqual(['dead', 'poisoned']);
});

test('what a killed worker held is taken over, and a stopped one gives back, while Redis is full', {
  timeout: 150_000,
}, async ({ rig }) => {
  await enqueueMany(rig, 100_000);
  await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 500_000 } }]);
  const first = await startWorker(rig);
  const second = await startWorker(rig);
  await stalled(rig);
  await fill(rig);
  await first.kill();
  await second.stop();
  await rig.setFaults([]);
  await rig.openWorker();
  await drained(rig, { enqueued: 100_000, accepted: 100_000 });
});
