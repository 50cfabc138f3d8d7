import {
  createPrivateFolder,
  generateTokens,
  simulatorApp,
  startService,
  writeFleetFile,
} from '@pushfleet/testkit';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import { seriesValue } from './series-value.ts';
import { reject, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const tokens = generateTokens({ count: 1_000 });

test('metrics and health tell what the worker does', async ({ rig }) => {
  const folder = await createPrivateFolder('worker-metrics');
  onTestFinished(async () => folder.remove());
  const configPath = await writeFleetFile(folder.path, {
    shop: simulatorApp(rig.simulator, { confirmAfter: '200ms' }),
    idle: simulatorApp(rig.simulator),
  });
  const worker = await startService('worker', {
    redisUrl: rig.redisUrl,
    redisPrefix: rig.prefix,
    configPath,
  });
  onTestFinished(async () => void (await worker.kill()));
  const get = async (path: string) => fetch(`http://127.0.0.1:${worker.adminPort}${path}`);
  await rig.setFaults([reject({ token: [tokens[1]!] })]);
  await rig.enqueue(tokens, 'bulk');
  await rig.settled();
  const metrics = await vi.waitFor(async () => {
    const text = await (await get('/metrics')).text();
    expect(seriesValue(text, 'pushfleet_jobs_active{app="shop",lane="bulk"}')).toBe(0);
    return text;
  });
  const shopBulk = 'app="shop",lane="bulk"';
  const settled = (outcome: string) =>
    seriesValue(
      metrics,
      `pushfleet_settled_notifications_total{${shopBulk},transport="binary",outcome="${outcome}"}`,
    );
  expect(settled('accepted-proved')! + settled('accepted-presumed')!).toBe(999);
  expect(settled('rejected')).toBe(1);
  expect(settled('dead')).toBe(0);
  expect(seriesValue(metrics, 'pushfleet_rejections_total{app="shop",reason="invalid-token"}')).toBe(1);
  expect(seriesValue(metrics, 'pushfleet_error_responses_total{app="shop",status="8"}')).toBe(1);
  expect(seriesValue(metrics, `pushfleet_jobs_taken_total{${shopBulk}}`)).toBe(1);
  expect(seriesValue(metrics, `pushfleet_job_wait_seconds_count{${shopBulk}}`)).toBe(1);
  expect(seriesValue(metrics, `pushfleet_enqueue_to_settled_seconds_count{${shopBulk}}`)).toBe(1);
  expect(seriesValue(metrics, 'pushfleet_in_flight_notifications{app="shop"}')).toBe(0);
  expect(seriesValue(metrics, 'pushfleet_connections_closed_total{app="shop",end="error-response"}')).toBe(1);
  expect(seriesValue(metrics, 'pushfleet_credential_expiry_timestamp_seconds{app="idle"}')).toBeGreaterThan(
    Date.now() / 1_000,
  );
  // What an app without work costs in a scrape.
  expect(metrics.split('\n').filter((line) => line.includes('app="idle"')).length).toBeLessThan(10);
  const ready = await get('/readyz');
  expect(ready.status).toBe(200);
  expect(await ready.json()).toMatchObject({ status: 'ok', apps: { shop: { paused: {} } } });
  expect(JSON.stringify(worker.process.lines)).not.toContain(tokens[1]);
});
