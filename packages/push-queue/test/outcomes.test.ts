import { randomUUID } from 'node:crypto';
import { openFaultProxy } from '@pushfleet/testkit';
import { Redis } from 'ioredis';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { createBatchId, type OutcomeReport, outcomeReaders, outcomesKey, pauseApp } from '../src/index.ts';
import { FleetFacts, OutcomeReader } from '../src/outcomes/index.ts';
import { probeQueue } from './queue-probe.ts';

const prefix = () => `${inject('redisPrefix')}-${randomUUID()}`;

function useRedis(): Redis {
  const redis = new Redis(inject('redisUrl'));
  onTestFinished(() => void redis.disconnect());
  return redis;
}

function useReader(keys: string, consumer = 'one', redis: string = inject('redisUrl')): OutcomeReader {
  const reader = new OutcomeReader({ redis, prefix: keys, consumer, timeoutMs: 5_000 });
  onTestFinished(() => reader.close());
  return reader;
}

const reportOf = (app: string, count = 1): OutcomeReport => {
  const batch = createBatchId();
  return {
    v: 1,
    job: `${batch}-1`,
    app,
    lane: 'bulk',
    batch,
    batchSize: count,
    firstIndex: 1,
    count,
    enqueuedAtMs: 1,
    settledAtMs: 2,
    accepted: { proved: 0, presumed: count },
    exceptions: [],
    resentUncertain: 0,
  };
};

test('each report goes to one reader, in the order of its stream, and is gone once acknowledged', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const sent = Array.from({ length: 5 }, () => reportOf('shop'));
  const other = reportOf('news');
  for (const report of sent)
    await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', JSON.stringify(report));
  await redis.xadd(outcomesKey(keys, 'news'), '*', 'report', JSON.stringify(other));
  const [one, two] = [useReader(keys), useReader(keys, 'two')];
  const first = await one.read(['shop', 'news', 'idle'], 3);
  expect(first.reports.map(({ report }) => report)).toEqual([...sent.slice(0, 3), other]);
  const second = await two.read(['shop', 'news'], 3);
  expect(second.reports.map(({ report }) => report)).toEqual(sent.slice(3));
  expect((await two.read(['shop'], 3)).reports).toEqual([]);
  expect(await one.backlog(['shop', 'idle'])).toEqual([
    { app: 'shop', reports: 5, oldestAtMs: Number(first.reports[0]!.entry.split('-')[0]) },
    { app: 'idle', reports: 0, oldestAtMs: undefined },
  ]);
  await one.acknowledge(first.reports);
  await two.acknowledge(second.reports);
  expect((await one.backlog(['shop'])).at(0)?.reports).toBe(0);
  expect(await redis.xpending(outcomesKey(keys, 'shop'), outcomeReaders)).toMatchObject([
    0,
    null,
    null,
    null,
  ]);
});

test('a read ends after some bytes, however many reports it may have, and says that there are more', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const exception = {
    token: 'ab'.repeat(32),
    outcome: 'rejected',
    reason: 'Unregistered',
    status: 410,
    atMs: 1,
  } as const;
  const exceptions = Array.from({ length: 1_000 }, (_, at) => ({ index: at + 1, ...exception }));
  const large = JSON.stringify({
    ...reportOf('shop', 1_000),
    accepted: { proved: 0, presumed: 0 },
    exceptions,
  });
  const count = Math.ceil((2 * 1024 ** 2) / large.length);
  for (let at = 0; at < count; at++) await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', large);
  await redis.xadd(outcomesKey(keys, 'news'), '*', 'report', JSON.stringify(reportOf('news')));
  const reader = useReader(keys);
  const first = await reader.read(['shop', 'news'], 1_000);
  expect(first.more).toEqual(['shop']);
  const bytes = first.reports.filter(({ app }) => app === 'shop').length * large.length;
  expect(bytes).toBeLessThan(1024 ** 2 + large.length + 1_000);
  expect(first.reports.filter(({ app }) => app === 'news')).toHaveLength(1);
  let read = bytes / large.length;
  for (let more = true; more; ) {
    const next = await reader.read(['shop'], 1_000);
    read += next.reports.length;
    more = next.more.length > 0;
  }
  expect(read).toBe(count);
});

test('a report is read whatever stands beside it, and a trace context where it is one', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const beside = [[], ['traceparent', caller], ['traceparent', 'x'], ['of-a-later-version', 'y']];
  for (const fields of beside) {
    const report = JSON.stringify(reportOf('shop'));
    await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', report, ...fields);
  }
  const { reports, unreadable } = await useReader(keys).read(['shop'], 10);
  expect(unreadable).toEqual([]);
  expect(reports.map(({ traceparent }) => traceparent)).toEqual([undefined, caller, undefined, undefined]);
});

test('what was read and not acknowledged can be read again, all of it', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const sent = Array.from({ length: 250 }, () => reportOf('shop'));
  const pipeline = redis.pipeline();
  for (const report of sent) pipeline.xadd(outcomesKey(keys, 'shop'), '*', 'report', JSON.stringify(report));
  pipeline.xadd(outcomesKey(keys, 'shop'), '*', 'report', 'none');
  await pipeline.exec();
  const reader = useReader(keys);
  const { reports } = await reader.read(['shop'], 1_000);
  await reader.acknowledge(reports.slice(0, 10));
  const again = await reader.readAgain('shop');
  expect(again.reports.map(({ report }) => report)).toEqual(sent.slice(10));
  expect(again.unreadable).toHaveLength(1);
  await reader.acknowledge([...again.reports, ...again.unreadable]);
  expect(await reader.readAgain('shop')).toEqual({ reports: [], unreadable: [], failed: [], more: [] });
});

test('what a dead reader has had is taken over; readers without anything are forgotten', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const report = reportOf('shop');
  await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', JSON.stringify(report));
  const [dead, alive] = [useReader(keys, 'dead'), useReader(keys, 'alive')];
  await dead.read(['shop'], 10);
  expect((await alive.takeOver(['shop'], 60_000, 10)).reports).toEqual([]);
  await alive.forgetReaders(['shop'], 0);
  const taken = await vi.waitFor(async () => {
    const { reports } = await alive.takeOver(['shop'], 1, 10);
    expect(reports.map((entry) => entry.report)).toEqual([report]);
    return reports;
  });
  await alive.acknowledge(taken);
  await vi.waitFor(async () => {
    await alive.forgetReaders(['shop'], 1);
    const readers = (await redis.xinfo(
      'CONSUMERS',
      outcomesKey(keys, 'shop'),
      outcomeReaders,
    )) as unknown[][];
    expect(readers.map((reader) => reader[1])).toEqual(['alive']);
  });
});

test('what is no report is told apart, with its data', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const key = outcomesKey(keys, 'shop');
  await redis.xadd(key, '*', 'report', '{"v":1');
  await redis.xadd(key, '*', 'something', 'else');
  await redis.xadd(key, '*', 'report', JSON.stringify({ ...reportOf('shop'), count: 0 }));
  await redis.xadd(key, '*', 'report', JSON.stringify(reportOf('news')));
  await redis.xadd(key, '*', 'report', JSON.stringify(reportOf('shop')));
  const { reports, unreadable } = await useReader(keys).read(['shop'], 10);
  expect(reports).toHaveLength(1);
  expect(unreadable.map(({ raw }) => raw.slice(0, 7))).toEqual(['{"v":1', '["somet', '{"v":1,', '{"v":1,']);
  expect(unreadable.map(({ error }) => error).join('\n')).toMatch(
    /no field named report[\s\S]*count[\s\S]*names the app news/,
  );
});

test('the group is made again when Redis has lost it', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const reader = useReader(keys);
  expect((await reader.read(['shop'], 10)).reports).toEqual([]);
  await redis.del(outcomesKey(keys, 'shop'));
  await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', JSON.stringify(reportOf('shop')));
  expect((await reader.read(['shop'], 10)).reports).toHaveLength(1);
});

test('a Redis that is silent or away fails the call in time; what was read meanwhile comes again', async () => {
  const [keys, redis] = [prefix(), useRedis()];
  const url = new URL(inject('redisUrl'));
  const proxy = await openFaultProxy({ target: { port: Number(url.port || 6379) } });
  onTestFinished(() => proxy.close());
  url.hostname = proxy.host;
  url.port = String(proxy.port);
  const reader = new OutcomeReader({ redis: url.href, prefix: keys, consumer: 'one', timeoutMs: 500 });
  onTestFinished(() => reader.close());
  await vi.waitFor(() => reader.read(['shop'], 10), 10_000);
  await redis.xadd(outcomesKey(keys, 'shop'), '*', 'report', JSON.stringify(reportOf('shop')));
  const mend = proxy.add('downstream', { type: 'timeout', timeoutMs: 0 });
  await expect(reader.read(['shop'], 10)).rejects.toMatchObject({ code: 'redis-timeout' });
  mend();
  const taken = await vi.waitFor(async () => {
    const { reports } = await reader.readAgain('shop');
    expect(reports).toHaveLength(1);
    return reports;
  }, 10_000);
  await proxy.disable();
  proxy.cut('reset');
  await expect(reader.acknowledge(taken)).rejects.toMatchObject({ code: 'redis-unavailable' });
});

test('facts of the fleet: totals, queues, pauses', async () => {
  const probe = probeQueue();
  const facts = new FleetFacts({ redis: inject('redisUrl'), prefix: probe.prefix });
  onTestFinished(() => facts.close());
  const token = '00'.repeat(32);
  const startMs = Date.now();
  await probe.queue.enqueueBatch({
    app: 'shop',
    lane: 'bulk',
    notifications: [
      { token, alert: 'x' },
      { token, alert: 'y' },
    ],
  });
  await pauseApp(probe, 'shop', { cause: 'operator', reason: 'by hand', sinceMs: 1 });
  const [shop, idle] = await facts.read(['shop', 'idle']);
  expect(shop).toMatchObject({
    app: 'shop',
    pauses: [{ cause: 'operator' }],
    deadLetters: { count: 0, bytes: 0, trimmed: { age: 0, bytes: 0, notifications: 0 } },
    lanes: {
      bulk: { enqueued: 2, waiting: 1, active: 0, delayed: 0, settled: { dead: 0 } },
      transactional: { enqueued: 0, waiting: 0, oldestWaitingMs: undefined },
    },
  });
  expect(shop!.lanes.bulk.oldestWaitingMs).toBeGreaterThanOrEqual(startMs);
  expect(idle).toMatchObject({ pauses: [], lanes: { bulk: { enqueued: 0 } } });
  expect((await facts.pauses(['shop'])).get('shop')).toMatchObject([{ cause: 'operator' }]);
});
