import { provideRedis } from '@pushfleet/testkit';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import { enqueueMany, received, startWorker, tokens } from './worker-process.ts';
import { stopSimulator, test, withRedis } from './worker-test.ts';

afterAll(stopSimulator);

test('a worker killed in mid-stream loses nothing; another resumes, and sends little twice', async ({
  rig,
}) => {
  await enqueueMany(rig, 100_000);
  // Slow enough that the kill finds it in the middle.
  await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 4_000_000 } }]);
  const first = await startWorker(rig);
  const second = await startWorker(rig);
  await received(rig, 20_000);
  await first.kill();
  await rig.setFaults([]);
  expect(await rig.settled('shop', 40_000)).toMatchObject({ enqueued: 100_000, accepted: 100_000 });
  // What silence has settled may still be on its way: the gateway reads it all the same.
  const ledger = await vi.waitFor(
    async () => {
      const counts = await rig.simulator.control.ledger();
      expect(counts.unique).toBe(100_000);
      return counts;
    },
    { timeout: 20_000, interval: 20 },
  );
  // What was in flight and not in a checkpoint: both windows at most.
  expect(ledger.duplicates).toBeLessThanOrEqual(40_000);
  expect(await second.stop()).toMatchObject({ code: 0 });
  expect(await rig.jobsLeft()).toBe(0);
});

test('a worker killed in mid-stream has nothing sent twice where at most once is asked for', async ({
  rig,
}) => {
  await enqueueMany(rig, 100_000);
  // Slow enough that the kill finds it in the middle.
  await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 4_000_000 } }]);
  const dropping = { onUncertain: 'drop' };
  const first = await startWorker(rig, {}, dropping);
  await received(rig, 20_000);
  await first.kill();
  await rig.setFaults([]);
  await startWorker(rig, {}, dropping);
  const { accepted, dead, ...others } = await rig.settled('shop', 40_000);
  expect(others).toEqual({ enqueued: 100_000, rejected: 0, expired: 0, cancelled: 0 });
  expect(accepted + dead).toBe(100_000);
  expect((await rig.simulator.control.ledger()).duplicates).toBe(0);
  expect(dead).toBeGreaterThan(0);
});

test('a worker that is told to stop under load proves what it wrote, and leaves the rest', async ({
  rig,
}) => {
  await enqueueMany(rig, 150_000);
  const first = await startWorker(rig);
  await received(rig, 10_000);
  expect(await first.stop()).toMatchObject({ code: 0 });
  const { accepted, enqueued, ...others } = await rig.totals();
  expect(others).toEqual({ rejected: 0, expired: 0, cancelled: 0, dead: 0 });
  const ledger = await rig.simulator.control.ledger();
  expect(ledger.received).toBe(ledger.unique);
  expect(enqueued).toBe(150_000);
  // The rest waits, unlocked, for whoever comes next.
  expect(await rig.active()).toBe(0);
  expect(accepted).toBeLessThanOrEqual(ledger.unique);
  await startWorker(rig);
  expect(await rig.settled()).toMatchObject({ accepted: 150_000 });
  expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 150_000, duplicates: 0 });
  const resent = (await rig.reports()).reduce((sum, report) => sum + report.resentUncertain, 0);
  expect(resent).toBe(0);
});

test('Redis killed and restarted in mid-stream loses no outcome and repeats no report', async ({
  rig: { simulator },
}) => {
  const redis = await provideRedis({ own: true, aof: true });
  onTestFinished(async () => redis.stop());
  await withRedis(simulator, redis.url, redis.prefix, async (rig) => {
    await enqueueMany(rig, 60_000);
    await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 3_000_000 } }]);
    await rig.openWorker([rig.app({ window: 20_000 })]);
    await received(rig, 10_000);
    await redis.kill();
    await redis.restart();
    await rig.setFaults([]);
    expect(await rig.settled('shop', 40_000)).toMatchObject({ enqueued: 60_000, accepted: 60_000 });
    // Silence may settle what a slow gateway has still to read.
    await vi.waitFor(
      async () => expect(await simulator.control.ledger()).toMatchObject({ unique: 60_000, duplicates: 0 }),
      { timeout: 20_000 },
    );
    const reports = await rig.reports();
    expect(new Set(reports.map(({ job }) => job)).size).toBe(reports.length);
    expect(reports.length).toBe(60);
  });
});

test('a worker that is told to stop while Redis is away ends in time, with 0', async ({
  rig: { simulator },
}) => {
  const redis = await provideRedis({ own: true, aof: true });
  onTestFinished(async () => redis.stop());
  await withRedis(simulator, redis.url, redis.prefix, async (rig) => {
    await rig.enqueue(tokens);
    await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 200_000 } }]);
    const worker = await startWorker(rig, { PUSHFLEET_DRAIN_TIMEOUT: '1s' });
    await received(rig, 100);
    await redis.kill();
    expect(await worker.stop()).toMatchObject({ code: 0 });
    await redis.restart();
    await rig.setFaults([]);
    await startWorker(rig);
    expect(await rig.settled('shop', 40_000)).toMatchObject({ accepted: 5_000 });
    expect((await simulator.control.ledger()).unique).toBe(5_000);
  });
});

test('a worker says what is wrong with its start', async ({ rig }) => {
  const start = startWorker(rig, { REDIS_URL: 'redis://127.0.0.1:1' });
  await expect(start).rejects.toThrow(/Redis cannot be reached/);
});

// Last: what the gateway has not read lies in its socket until the test is over.
test('a second signal ends it at once, and nothing is lost', async ({ rig }) => {
  await rig.setFaults([{ on: 'binary', action: { kind: 'stopReading' } }]);
  await rig.enqueue(tokens.slice(0, 2_000));
  const worker = await startWorker(rig);
  await vi.waitFor(async () => expect(await rig.active()).toBeGreaterThan(0));
  worker.process.signal('SIGTERM');
  await worker.process.waitForLine(({ text }) => (text.includes('"stopping"') ? true : undefined), {
    what: 'did not stop',
    timeoutMs: 60_000,
  });
  // SIGTERM again within half a second would be the same stop, repeated by a launcher.
  worker.process.signal('SIGINT');
  expect(await worker.process.exited).toMatchObject({ code: 1 });
  await rig.setFaults([]);
  await startWorker(rig);
  expect(await rig.settled()).toMatchObject({ accepted: 2_000 });
});
