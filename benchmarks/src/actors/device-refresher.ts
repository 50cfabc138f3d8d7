import { openTokenStore } from '@pushfleet/token-store';
import { benchDeviceToken } from '../bench-devices.ts';
import { printResult, readParameters } from '../run-actor.ts';

// The live traffic of the device table: apps that are launched and register their tokens, one after another at a
// steady rate, while a second connection looks whether any of them waits for a lock.

const { databaseUrl, app, devices, perSecond, durationMs } = readParameters<{
  databaseUrl: string;
  app: string;
  devices: number;
  perSecond: number;
  /** Absent: until a reading of the feedback service has been applied. */
  durationMs?: number;
}>();
const live = openTokenStore({ connectionString: databaseUrl, applicationName: 'bench-live' });
const watcher = openTokenStore({ connectionString: databaseUrl, applicationName: 'bench-watcher' });
await Promise.all([live.ping(), watcher.ping()]);

const latenciesMs: number[] = [];
let samples = 0;
let samplesWaiting = 0;
let isOver = false;

async function refresh(): Promise<void> {
  const intervalMs = 1000 / perSecond;
  const pending = new Set<Promise<void>>();
  for (let dueMs = performance.now(); !isOver; dueMs += intervalMs) {
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const token = benchDeviceToken(Math.floor(Math.random() * devices));
    // From when it was due: what waits for a connection counts.
    const done = live.devices.register(app, { token, locale: 'de' }).then(() => {
      latenciesMs.push(performance.now() - dueMs);
      pending.delete(done);
    });
    pending.add(done);
  }
  await Promise.all(pending);
}

async function watch(): Promise<void> {
  while (!isOver) {
    const { rows } = await watcher.database.query<{ waiting: boolean }>(
      `select exists(select from pg_stat_activity
       where application_name = 'bench-live' and wait_event_type = 'Lock') as waiting`,
    );
    samples += 1;
    if (rows[0]!.waiting) samplesWaiting += 1;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function end(): Promise<void> {
  if (durationMs !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, durationMs));
  } else {
    for (let applied = false; !applied; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { rows } = await watcher.database.query<{ applied: boolean }>(
        'select exists(select from feedback_readings where ended_at is not null and applied = tuples) as applied',
      );
      applied = rows[0]!.applied;
    }
  }
  isOver = true;
}

await Promise.all([refresh(), watch(), end()]);
await Promise.all([live.close(), watcher.close()]);
latenciesMs.sort((a, b) => a - b);
printResult({
  registrations: latenciesMs.length,
  p50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)]!,
  p99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)]!,
  maxMs: latenciesMs.at(-1)!,
  waitingShare: samplesWaiting / samples,
});
