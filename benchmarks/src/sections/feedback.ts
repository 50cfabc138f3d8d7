import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { readFeedback } from '@pushfleet/apns-client';
import { providePostgres, type Simulator, startSimulator } from '@pushfleet/testkit';
import { migrate, openTokenStore, type TokenStore, type TupleCounts } from '@pushfleet/token-store';
import { benchDeviceToken, benchDeviceTokenSql } from '../bench-devices.ts';
import { createFigure, type Figure } from '../figure.ts';
import { runActor } from '../run-actor.ts';
import type { SectionContext } from '../section.ts';

const section = 'feedback';
const app = 'bench';
/** A smaller run while working on it: PUSHFLEET_BENCH_SHARE=0.1 */
const share = Number(process.env.PUSHFLEET_BENCH_SHARE ?? 1);
const devices = 10_000_000 * share;
const tuples = 1_000_000 * share;
/** Every so many of the tuples is of a device that registered again since, and of one that nobody knows. */
const keptEvery = 20;
const unknownEvery = 20;
const registrationsPerSecond = 100;

/** A production server's, with a quarter of the memory; that it survives a loss of power costs time and is part of it. */
const settings = {
  fsync: 'on',
  full_page_writes: 'on',
  shared_buffers: `${Math.min(4_096, Math.floor(totalmem() / 4 / 1_048_576))}MB`,
  max_wal_size: '8GB',
  checkpoint_timeout: '15min',
  maintenance_work_mem: '1GB',
};

interface Live {
  readonly registrations: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly waitingShare: number;
}

/**
 * A million tuples of the feedback service, over TLS, stored durably, and applied to a table of ten million devices,
 * while apps go on registering.
 */
export async function run({ say }: SectionContext): Promise<readonly Figure[]> {
  const postgres = await providePostgres({ own: true, settings });
  const simulator = await startSimulator();
  const store = openTokenStore({ connectionString: postgres.url, statementTimeoutMs: 1_800_000 });
  try {
    await migrate(postgres.url);
    say(`${devices} devices …`);
    await fillDevices(store);
    say(`${tuples} tuples …`);
    await postTuples(simulator);
    const refresher = { databaseUrl: postgres.url, app, devices, perSecond: registrationsPerSecond };
    say('live traffic alone …');
    const alone = await runActor<Live>('device-refresher', { ...refresher, durationMs: 10_000 });
    say('reading and applying, with live traffic …');
    const live = runActor<Live>('device-refresher', refresher, 600_000);
    const { readSeconds, allSeconds, counts } = await sweep(simulator, store);
    const during = await live;
    const wrong = Object.values(counts).reduce((sum, count) => sum + count, 0) - tuples;
    const bloat = await deadShare(store);
    const figure = (name: string, value: number, unit: string, more: object = {}) =>
      createFigure({ section, name, figure: value, unit, ...more });
    return [
      figure('read, stored and applied', tuples / allSeconds, 'tuples/s', {
        atLeast: 50_000,
      }),
      figure('read over TLS and stored, the first part of it', tuples / readSeconds, 'tuples/s'),
      figure('tuples without a result, or with two', Math.abs(wrong), 'tuples', { atMost: 0 }),
      figure('devices deactivated', counts.deactivated, 'devices'),
      figure('registrations meanwhile, p50', during.p50Ms, 'ms', {
        against: { name: 'alone', figure: alone.p50Ms },
      }),
      figure('registrations meanwhile, p99', during.p99Ms, 'ms', {
        against: { name: 'alone', figure: alone.p99Ms },
      }),
      figure('registrations meanwhile, longest', during.maxMs, 'ms', {
        against: { name: 'alone', figure: alone.maxMs },
      }),
      figure('moments at which a registration waited for a lock', during.waitingShare * 100, '%'),
      figure('dead rows among the devices afterwards', bloat * 100, '%'),
    ];
  } finally {
    await store.close();
    await Promise.all([simulator.stop(), postgres.stop()]);
  }
}

/** Indexes are made afterwards, as a restore does; rows lie in the order of registration, which is none of tokens. */
async function fillDevices({ database }: TokenStore): Promise<void> {
  await database.query('alter table devices drop constraint devices_pkey');
  await database.query('drop index devices_by_user');
  const step = 1_000_000;
  for (let from = 0; from < devices; from += step) {
    await database.query(
      `insert into devices (app, token, user_id, tags, locale, time_zone, registered_at, created_at)
       select $1, ${benchDeviceTokenSql}, 'user-' || i, '{news,sport}', 'de', 'Europe/Berlin',
         case when i % ${keptEvery} = 0 then now() else now() - interval '30 days' end, now() - interval '90 days'
       from generate_series($2::integer, $3::integer) as i`,
      [app, from, Math.min(devices, from + step) - 1],
    );
  }
  await database.query('alter table devices add primary key (app, token)');
  await database.query('create index devices_by_user on devices (app, user_id) where user_id is not null');
  await database.query('vacuum analyze devices');
  await database.query('checkpoint');
}

async function postTuples({ control }: Simulator): Promise<void> {
  const time = Math.floor(Date.now() / 1000) - 3_600;
  const chunk = 25_000;
  for (let from = 0; from < tuples; from += chunk) {
    const some = Array.from({ length: Math.min(chunk, tuples - from) }, (_, index) => {
      const place = from + index;
      // A prime step goes through the whole table; every device once.
      const device = place % unknownEvery === 1 ? devices + place : (place * 7_919) % devices;
      return { token: benchDeviceToken(device), time };
    });
    await control.feedback(some);
  }
}

async function sweep(simulator: Simulator, { feedback }: TokenStore) {
  const pem = async (name: string) => readFile(join(simulator.tlsDir, name), 'utf8');
  const [ca, cert, key] = await Promise.all([pem('ca.pem'), pem('client.pem'), pem('client-key.pem')]);
  const counts: Record<string, number> = {};
  let isRead = false;
  const applyAll = async () => {
    for (;;) {
      const applied = await feedback.applyNextChunk();
      if (applied === undefined && isRead) return;
      if (applied === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      for (const [result, count] of Object.entries(applied?.counts ?? {})) {
        counts[result] = (counts[result] ?? 0) + count;
      }
    }
  };
  const startMs = performance.now();
  const reading = (await feedback.openReading(app))!;
  const applying = Promise.all([applyAll(), applyAll()]);
  const end = await readFeedback({
    host: 'localhost',
    port: simulator.feedbackPort,
    ca,
    credential: { cert, key },
    // As the sweeper does.
    chunkTuples: 5_000,
    onTuples: (some) => reading.append(some),
  });
  await reading.finish(end);
  await reading.close();
  const readMs = performance.now();
  isRead = true;
  await applying;
  return {
    readSeconds: (readMs - startMs) / 1000,
    allSeconds: (performance.now() - startMs) / 1000,
    counts: counts as unknown as TupleCounts,
  };
}

async function deadShare({ database }: TokenStore): Promise<number> {
  await database.query('select pg_stat_clear_snapshot()');
  const { rows } = await database.query<{ share: number }>(
    `select (n_dead_tup::float8 / greatest(1, n_live_tup + n_dead_tup)) as share
     from pg_stat_user_tables where relname = 'devices'`,
  );
  return rows[0]!.share;
}
