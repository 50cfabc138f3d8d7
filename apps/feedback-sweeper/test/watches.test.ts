import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateCredential, watchCredential } from '@pushfleet/apns-credentials';
import { createPushQueue, heldKey, liftPauses, pauseApp } from '@pushfleet/push-queue';
import { FleetFacts, OutcomeReader } from '@pushfleet/push-queue/outcomes';
import { createLogger, type Logger } from '@pushfleet/service-kit';
import { defaultRetention } from '@pushfleet/token-store';
import { Registry } from 'prom-client';
import { expect, onTestFinished, vi } from 'vitest';
import { ExpiryWatch } from '../src/fleet/expiry-watch.ts';
import { FleetWatch } from '../src/fleet/fleet-watch.ts';
import { ReportApplier } from '../src/reports/report-applier.ts';
import { ReportSweep } from '../src/reports/report-sweep.ts';
import { readRetentionPolicy } from '../src/retention/retention-policy.ts';
import { RetentionSweep } from '../src/retention/retention-sweep.ts';
import { SweeperMetrics } from '../src/sweeper-metrics.ts';
import { Trouble } from '../src/trouble.ts';
import { type Fleet, reportOf, test } from './sweeper-test.ts';

const dayMs = 86_400_000;
const patience = { timeout: 20_000, interval: 50 };

/** What the parts of a sweeper stand on, without running one. */
function openParts({ environment, store }: Fleet) {
  const logger: Logger = createLogger({ service: 'sweeper', level: 'silent' });
  const link = { redis: environment.redisUrl, prefix: environment.redisPrefix };
  const facts = new FleetFacts(link);
  const readers: OutcomeReader[] = [];
  const stop = new AbortController();
  onTestFinished(async () => {
    stop.abort();
    await Promise.all([facts.close(), ...readers.map((reader) => reader.close())]);
  });
  const openReader = (consumer: string) => {
    const reader = new OutcomeReader({ ...link, consumer });
    readers.push(reader);
    return reader;
  };
  return {
    store,
    facts,
    logger,
    openReader,
    metrics: new SweeperMetrics(new Registry(), ['shop']),
    postgres: new Trouble('Postgres', 'test', logger),
    redis: new Trouble('Redis', 'test', logger),
    signal: stop.signal,
    apps: ['shop'],
  };
}

const eventsOf = (fleet: Fleet) => fleet.sql('select kind, payload from events order by id');

test('the beginning and the end of a pause are told once, by however many sweepers', async ({ fleet }) => {
  const parts = openParts(fleet);
  const reader = parts.openReader('one');
  const watches = [1, 2].map(() => new FleetWatch({ ...parts, reader }));
  const look = () => Promise.all(watches.map((watch) => watch.look()));
  const control = { redis: fleet.redis, prefix: fleet.environment.redisPrefix };
  const pause = { cause: 'credential', reason: 'expired', sinceMs: 5 } as const;
  await pauseApp(control, 'shop', pause);
  await look();
  await look();
  expect(await eventsOf(fleet)).toEqual([{ kind: 'app.paused', payload: pause }]);
  await liftPauses(control, 'shop', ['credential']);
  await look();
  await look();
  expect((await eventsOf(fleet)).at(-1)).toEqual({ kind: 'app.resumed', payload: pause });
  await pauseApp(control, 'shop', { ...pause, sinceMs: 6 });
  await look();
  // The end of this one is seen by a sweeper that has not seen its beginning, and by one of other apps.
  await liftPauses(control, 'shop', ['credential']);
  await new FleetWatch({ ...parts, apps: ['news'], reader }).look();
  expect(await eventsOf(fleet)).toHaveLength(3);
  await new FleetWatch({ ...parts, reader }).look();
  await look();
  expect((await eventsOf(fleet)).at(-1)).toEqual({
    kind: 'app.resumed',
    payload: { ...pause, sinceMs: 6 },
  });
  expect((await eventsOf(fleet)).map(({ kind }) => kind)).toEqual([
    'app.paused',
    'app.resumed',
    'app.paused',
    'app.resumed',
  ]);
  const lines = await fleet.store.accounting.read();
  expect(lines.filter(({ app }) => app === 'shop')).toMatchObject([
    { app: 'shop', enqueued: 0 },
    { app: 'shop', enqueued: 0 },
  ]);
});

test('a certificate that comes to its end is told of at 30, 14, 7 and 1 days and at the end, each once', async ({
  fleet,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'expiry-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const file of ['client.pem', 'client-key.pem'])
    await copyFile(join(fleet.simulator.tlsDir, file), join(folder, file));
  const credential = await watchCredential(
    locateCredential({ cert: 'client.pem', key: 'client-key.pem' }, folder),
  );
  onTestFinished(() => credential.close());
  const current = credential.current();
  if (current.kind !== 'certificate') throw new Error('not a certificate');
  const endMs = current.certificate.notAfter.getTime();
  const parts = openParts(fleet);
  for (const daysBefore of [31, 30, 29, 14, 14, 8, 3, 0.5, -1, -2]) {
    const apps = [{ id: 'shop', credential }];
    const watches = [1, 2].map(
      () => new ExpiryWatch({ ...parts, apps, now: () => endMs - daysBefore * dayMs }),
    );
    await Promise.all(watches.map((watch) => watch.look()));
  }
  expect(await parts.store.appCredentials.expiries()).toEqual(new Map([['shop', new Date(endMs)]]));
  const events = await eventsOf(fleet);
  expect(events.map(({ kind, payload }) => [kind, (payload as { threshold: number }).threshold])).toEqual(
    [30, 14, 7, 1, 0].map((threshold) => ['credential.expiring', threshold]),
  );
  expect(events[0]!.payload).toMatchObject({
    daysLeft: 30,
    notAfter: current.certificate.notAfter.toISOString(),
  });
});

test('what a reader that died had taken is taken over and applied', async ({ fleet }) => {
  const parts = openParts(fleet);
  const reports = Array.from({ length: 5 }, () => reportOf('shop'));
  for (const report of reports) await fleet.report(report);
  const dead = parts.openReader('dead');
  expect((await dead.read(['shop'], 3)).reports).toHaveLength(3);
  const applier = new ReportApplier(parts);
  const stop = new AbortController();
  const running = new ReportSweep({
    ...parts,
    reader: parts.openReader('alive'),
    applier,
    takeOverMs: 200,
    pollMs: 50,
    signal: stop.signal,
  }).run();
  await vi.waitFor(async () => {
    for (const { batch } of reports) expect(await fleet.store.batches.find(batch)).toBeDefined();
    expect(await dead.backlog(['shop'])).toMatchObject([{ reports: 0 }]);
  }, patience);
  stop.abort();
  await running;
});

test('how long things are kept is read from the environment, all problems at once', () => {
  expect(readRetentionPolicy({})).toEqual(defaultRetention);
  expect(
    readRetentionPolicy({ PUSHFLEET_RETENTION_BATCHES: '40d', PUSHFLEET_RETENTION_EVENTS: '12h' }),
  ).toEqual({
    ...defaultRetention,
    batchesMs: 40 * dayMs,
    eventsMs: dayMs / 2,
  });
  const wrong = { PUSHFLEET_RETENTION_BATCHES: '30d', PUSHFLEET_RETENTION_CHANGES: 'a year' };
  expect(() => readRetentionPolicy(wrong)).toThrow(
    /BATCHES: must be at least 35d[\s\S]*CHANGES: must be a duration/,
  );
});

test('what is old is removed once a day, whichever sweeper comes by', async ({ fleet }) => {
  const parts = openParts(fleet);
  await fleet.sql(
    `insert into events (app, kind, payload, created_at) values ('shop', 'x', '{}', '2020-01-01')`,
  );
  const sweeps = [1, 2].map(() => new RetentionSweep({ ...parts, policy: defaultRetention }));
  for (const sweep of sweeps) await sweep.look();
  expect(await eventsOf(fleet)).toEqual([]);
  await fleet.sql(
    `insert into events (app, kind, payload, created_at) values ('shop', 'x', '{}', '2020-01-01')`,
  );
  for (const sweep of sweeps) await sweep.look();
  expect(await eventsOf(fleet)).toHaveLength(1);
});

test('what lies in the queues is counted anew after an upgrade, and told beside its limits', async ({
  fleet,
}) => {
  const { prefix, redis } = { prefix: fleet.environment.redisPrefix, redis: fleet.redis };
  const queue = createPushQueue({ redis: fleet.environment.redisUrl, prefix });
  onTestFinished(() => queue.close());
  const token = 'ab'.repeat(32);
  for (let each = 0; each < 3; each++) await queue.enqueue({ app: 'shop', token, alert: 'x' });
  // As an earlier version left it.
  await redis.del(heldKey(prefix, 'shop'));
  const parts = openParts(fleet);
  const register = new Registry();
  const metrics = new SweeperMetrics(register, ['shop']);
  const quotas = new Map([['shop', { maxNotifications: 7 }]]);
  const watch = new FleetWatch({ ...parts, metrics, quotas, reader: parts.openReader('one') });
  await watch.look();
  await watch.look();
  const text = await register.metrics();
  expect(text).toContain('pushfleet_quota_used_notifications{app="shop",class="queued"} 3');
  expect(text).toContain('pushfleet_quota_limit_notifications{app="shop",class="queued"} 7');
  expect(text).toContain('pushfleet_quota_used_bytes{app="shop",class="scheduled"} 0');
});
