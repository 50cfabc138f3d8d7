import { join } from 'node:path';
import { liftPauses, pauseApp } from '@pushfleet/push-queue';
import { createLogger } from '@pushfleet/service-kit';
import { generateTokens } from '@pushfleet/testkit';
import { Registry } from 'prom-client';
import { afterAll, expect, vi } from 'vitest';
import { type Rig, reject, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const [token] = generateTokens({ count: 1, seed: 71 }) as [string];

async function countOf(registers: readonly Registry[], name: string, labels: object): Promise<number> {
  let sum = 0;
  for (const register of registers) {
    const { values } = await register.getSingleMetric(name)!.get();
    for (const each of values) {
      const isMeant = Object.entries(labels).every(([label, value]) => each.labels[label] === value);
      if (isMeant && !('le' in each.labels)) sum += each.value;
    }
  }
  return sum;
}

const total = async (registers: readonly Registry[], outcome: string) =>
  countOf(registers, 'pushfleet_canary_total', { app: 'shop', outcome });

const onTransport = (rig: Rig, transport: 'binary' | 'http2', everyMs: number) => {
  const port = transport === 'binary' ? rig.simulator.binaryPort : rig.simulator.http2Port;
  const gateway = { host: 'localhost', port, ca: join(rig.simulator.tlsDir, 'ca.pem') };
  return rig.app({ transport, gateway, window: 20_000, canary: { token, everyMs } });
};

for (const transport of ['binary', 'http2'] as const) {
  test(`one canary of the fleet goes the whole way in each interval, on ${transport}`, async ({ rig }) => {
    const registers = [new Registry(), new Registry()];
    const app = onTransport(rig, transport, 3_600_000);
    const openAll = async () =>
      Promise.all(registers.map(async (register) => rig.openWorker([app], { register })));
    const workers = await openAll();
    await vi.waitFor(async () => expect(await total(registers, 'accepted')).toBe(1), { timeout: 20_000 });
    expect(await total(registers, 'rejected')).toBe(0);
    expect(await rig.settled()).toMatchObject({ enqueued: 1, accepted: 1 });
    const [report] = await rig.reports();
    expect(report).toMatchObject({ lane: 'transactional', count: 1 });
    const lastSuccess = async () =>
      countOf(registers.slice(0, 1), 'pushfleet_canary_last_success_timestamp_seconds', { app: 'shop' });
    expect(await lastSuccess()).toBeGreaterThan(Date.now() / 1_000 - 60);
    // Workers that start again send none before it is due.
    await Promise.all(workers.map(async (worker) => worker.stop(5_000)));
    for (const register of registers) register.clear();
    await openAll();
    expect(await rig.totals()).toMatchObject({ enqueued: 1 });
  });
}

test('a token that is refused is counted and told once, and so is its recovery', async ({ rig }) => {
  const register = new Registry();
  const told: string[] = [];
  const logger = createLogger({ service: 'worker', level: 'silent' });
  const spied = new Proxy(logger, {
    get(target, name) {
      if (name === 'child') return () => spied;
      if (name === 'error' || name === 'info') {
        return (fields: unknown, text?: string) => told.push(text ?? String(fields));
      }
      return Reflect.get(target, name) as unknown;
    },
  });
  await rig.setFaults([reject({}, { status: 8, times: 2 })]);
  await rig.openWorker([onTransport(rig, 'binary', 3_000)], { register, logger: spied });
  await vi.waitFor(async () => expect(await total([register], 'accepted')).toBeGreaterThan(0), {
    timeout: 30_000,
  });
  expect(await total([register], 'rejected')).toBe(2);
  const changes = told.filter((text) => text.includes('canary'));
  expect(changes).toEqual(['the canary was not accepted', 'the canary is accepted again']);
});

test('canaries do not pile up where they cannot go out', async ({ rig }) => {
  const register = new Registry();
  await pauseApp(rig, 'shop', { cause: 'operator', reason: 'by hand', sinceMs: 1 });
  await rig.redis.set(`${rig.prefix}:{shop}:canary-open`, '1', 'PX', 2_500);
  await rig.openWorker([onTransport(rig, 'binary', 1_000)], { register });
  await liftPauses(rig, 'shop', ['operator']);
  await vi.waitFor(async () => expect(await total([register], 'queued')).toBeGreaterThan(0), {
    timeout: 20_000,
  });
  expect(await rig.totals()).toMatchObject({ enqueued: 0 });
  // One that was lost is given up.
  await vi.waitFor(async () => expect(await total([register], 'accepted')).toBeGreaterThan(0), {
    timeout: 20_000,
  });
});
