import { join } from 'node:path';
import { watchCredential } from '@pushfleet/apns-credentials';
import { createLogger, type FleetApp } from '@pushfleet/service-kit';
import { generateTokens, openFaultProxy } from '@pushfleet/testkit';
import { Registry } from 'prom-client';
import { afterAll, expect, onTestFinished } from 'vitest';
import { openWorker } from '../src/worker.ts';
import { seriesValue } from './series-value.ts';
import { type Rig, stopSimulator, test } from './worker-test.ts';

// A gateway that is far away: connections by demand, as a whole worker opens them.

afterAll(stopSimulator);

const tokens = generateTokens({ count: 1_000, seed: 31 });

/** A worker whose gateway is 40 ms away, and takes 50 requests at a time on a connection. */
async function openFar(rig: Rig, ids: readonly string[], change: Partial<FleetApp>, connections?: number) {
  const proxy = await openFaultProxy({ target: { port: rig.simulator.http2Port } });
  onTestFinished(async () => proxy.close());
  for (const direction of ['upstream', 'downstream'] as const) {
    proxy.add(direction, { type: 'latency', latencyMs: 20 });
  }
  const register = new Registry();
  const apps = await Promise.all(
    ids.map(async (id) => {
      const app = rig.app({
        id,
        transport: 'http2',
        gateway: { host: 'localhost', port: proxy.port, ca: join(rig.simulator.tlsDir, 'ca.pem') },
        streams: 50,
        window: 20_000,
        ...change,
      });
      const { cert, key } = app.credential as { cert: string; key: string };
      return { app, credential: await watchCredential({ cert, key }) };
    }),
  );
  const worker = await openWorker({
    apps,
    redisUrl: rig.redisUrl,
    redisPrefix: rig.prefix,
    register,
    logger: createLogger({ service: 'worker', level: 'silent' }),
    pollIntervalMs: 300,
    ...(connections === undefined ? {} : { connections }),
  });
  onTestFinished(async () => worker.stop(10_000));
  const value = async (series: string) => seriesValue(await register.metrics(), series) ?? 0;
  return {
    value,
    open: async (id = 'shop') => value(`pushfleet_connections{app="${id}",state="open"}`),
    wanted: async (reason: string) => value(`pushfleet_connections_wanted{app="shop",reason="${reason}"}`),
    details: () => worker.details(),
  };
}

test('a backlog opens connections, and the transactional lane keeps one of its own', async ({ rig }) => {
  const far = await openFar(rig, ['shop'], { connections: 6 });
  for (let batch = 0; batch < 15; batch++) await rig.enqueue(tokens, 'bulk');
  await expect.poll(async () => far.wanted('streams'), { timeout: 30_000, interval: 20 }).toBe(5);
  await rig.enqueue(tokens.slice(0, 3), 'transactional');
  await expect.poll(async () => far.wanted('reserved'), { timeout: 30_000, interval: 20 }).toBe(1);
  await expect.poll(async () => far.open(), { timeout: 30_000, interval: 20 }).toBe(6);
  expect(await far.value('pushfleet_streams_allowed{app="shop"}')).toBeGreaterThanOrEqual(250);
  expect(await far.value('pushfleet_connection_round_trip_seconds{app="shop"}')).toBeGreaterThanOrEqual(
    0.039,
  );
  expect(far.details()).toMatchObject({
    apps: {
      shop: {
        connections: [
          { wanted: 5, need: 'streams' },
          { wanted: 1, need: 'reserved' },
        ],
      },
    },
  });
  expect(await rig.settled('shop', 60_000)).toMatchObject({ enqueued: 15_003, accepted: 15_003 });
  expect(
    await far.value('pushfleet_connections_opened_total{app="shop",tls="resumed"}'),
  ).toBeGreaterThanOrEqual(4);
});

test('apps have no more than the worker may open, and each has its first', async ({ rig }) => {
  const ids = ['shop', 'news', 'game'];
  const far = await openFar(rig, ids, { connections: 8 }, 4);
  for (let batch = 0; batch < 8; batch++) {
    for (const id of ids) await rig.enqueue(tokens, 'bulk', id);
  }
  let most = 0;
  await expect
    .poll(
      async () => {
        const open = await Promise.all(ids.map(async (id) => far.open(id)));
        most = Math.max(
          most,
          open.reduce((sum, each) => sum + each, 0),
        );
        return open.every((each) => each >= 1) && most === 7;
      },
      { timeout: 30_000, interval: 20 },
    )
    .toBe(true);
  for (const id of ids) expect(await rig.settled(id, 60_000)).toMatchObject({ accepted: 8_000 });
  expect(most).toBe(7);
});
