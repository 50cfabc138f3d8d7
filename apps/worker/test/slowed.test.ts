import { join } from 'node:path';
import { readPauses, readWorkers } from '@pushfleet/push-queue';
import { generateTokens } from '@pushfleet/testkit';
import { Registry } from 'prom-client';
import { afterAll, expect, vi } from 'vitest';
import { seriesValue } from './series-value.ts';
import { stopSimulator, test } from './worker-test.ts';

// A gateway that is in trouble with everything: the app is slowed, and comes back by itself.

afterAll(stopSimulator);

test('while the gateway answers 503 nothing but probes is sent, nothing dies, and the rate comes back', async ({
  rig,
}) => {
  const { simulator } = rig;
  const ca = join(simulator.tlsDir, 'ca.pem');
  const gateway = { host: 'localhost', port: simulator.http2Port, ca };
  const app = rig.app({ transport: 'http2', gateway, streams: 100 });
  await rig.setFaults([
    { on: 'http2', action: { kind: 'respond', status: 503, reason: 'ServiceUnavailable' } },
  ]);
  const register = new Registry();
  const worker = await rig.openWorker([app], { register });
  const tokens = generateTokens({ count: 5_000, seed: 31 });
  for (let batch = 0; batch < 4; batch++) await rig.enqueue(tokens, 'bulk');
  const slowedBy = async (cause: string) =>
    seriesValue(await register.metrics(), `pushfleet_app_slowed{app="shop",cause="${cause}"}`);
  await vi.waitFor(async () => expect(await slowedBy('answers')).toBe(1), { timeout: 20_000 });
  expect(await slowedBy('resets')).toBe(0);
  await vi.waitFor(async () =>
    expect(await readWorkers(rig)).toMatchObject([{ slowed: { shop: { cause: 'answers' } } }]),
  );
  expect(worker.details()).toMatchObject({ apps: { shop: { slowed: { cause: 'answers' } } } });
  expect(worker.readiness()).toEqual([]);
  await vi.waitFor(async () => expect(await rig.active()).toBe(0), { timeout: 10_000 });
  const asked = async () =>
    seriesValue(await register.metrics(), 'pushfleet_error_responses_total{app="shop",status="503"}')!;
  const before = await asked();
  const startMs = performance.now();
  await vi.waitFor(async () => expect(await asked()).toBeGreaterThan(before + 1), { timeout: 15_000 });
  // At intervals of 0.75 s and more.
  expect((await asked()) - before).toBeLessThanOrEqual(2 + (performance.now() - startMs) / 750);
  const [one] = await rig.reports();
  expect(one).toBeUndefined();
  await rig.setFaults([]);
  // The transactional lane is the first to be tried.
  await rig.enqueue(tokens.slice(0, 10), 'transactional');
  const { dead, accepted } = await rig.settled('shop', 60_000);
  expect({ dead, accepted }).toEqual({ dead: 0, accepted: 20_010 });
  expect(await slowedBy('answers')).toBe(0);
  expect(await readPauses(rig, 'shop')).toEqual([]);
  await vi.waitFor(async () => expect(await readWorkers(rig)).toMatchObject([{ slowed: {} }]));
});
