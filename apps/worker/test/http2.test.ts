import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateCredential, watchCredential } from '@pushfleet/apns-credentials';
import { liftPauses, notificationId } from '@pushfleet/push-queue';
import { createLogger, type FleetApp } from '@pushfleet/service-kit';
import { generateTokens } from '@pushfleet/testkit';
import { Registry } from 'prom-client';
import { afterAll, expect, vi } from 'vitest';
import { openWorker } from '../src/worker.ts';
import { type Rig, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

/** An app on the HTTP/2 gateway, with a provider key. */
async function tokenApp({ simulator, app }: Rig): Promise<FleetApp> {
  const ids = JSON.parse(await readFile(join(simulator.tlsDir, 'provider-key.json'), 'utf8')) as {
    keyId: string;
    teamId: string;
  };
  return app({
    transport: 'http2',
    gateway: { host: 'localhost', port: simulator.http2Port, ca: join(simulator.tlsDir, 'ca.pem') },
    credential: { p8: join(simulator.tlsDir, 'AuthKey.p8'), keyId: ids.keyId, teamId: ids.teamId },
  });
}

interface Fleet {
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

/** Workers of a fleet, as `count` processes would be. */
async function openFleet(rig: Rig, app: FleetApp, count: number): Promise<Fleet> {
  const registers = Array.from({ length: count }, () => new Registry());
  const workers = await Promise.all(
    registers.map(async (register) =>
      openWorker({
        apps: [{ app, credential: await watchCredential(locateCredential(app.credential)) }],
        redisUrl: rig.redisUrl,
        redisPrefix: rig.prefix,
        register,
        logger: createLogger({ service: 'worker', level: 'silent' }),
        pollIntervalMs: 300,
        retryBackoff: { baseMs: 50, capMs: 500 },
      }),
    ),
  );
  return {
    metrics: async () => (await Promise.all(registers.map(async (each) => each.metrics()))).join('\n'),
    stop: async () => void (await Promise.all(workers.map(async (each) => each.stop(10_000)))),
  };
}

test('over HTTP/2 every acceptance is proved, and apns-id is the id of the notification', async ({ rig }) => {
  const app = await tokenApp(rig);
  const fleet = await openFleet(rig, app, 2);
  const tokens = generateTokens({ count: 1_500, seed: 21 });
  const { batchId } = await rig.enqueue(tokens, 'bulk');
  expect(await rig.settled()).toMatchObject({ enqueued: 1_500, accepted: 1_500 });
  const reports = await rig.reports();
  expect(reports.reduce((sum, { accepted }) => sum + accepted.proved, 0)).toBe(1_500);
  const ids = new Set<unknown>();
  for await (const { apnsId } of rig.simulator.control.notifications()) ids.add(apnsId);
  expect(ids).toEqual(new Set(tokens.map((_, index) => notificationId(batchId, index + 1))));
  // One token serves the fleet: the gateway would have said TooManyProviderTokenUpdates.
  expect(await rig.redis.keys(`${rig.prefix}:{token.*`)).toHaveLength(1);
  expect(await fleet.metrics()).toMatch(/pushfleet_provider_token_age_seconds\{app="shop"\} \d/);
  await fleet.stop();
});

test('over HTTP/2 what the gateway says of a device reaches the report, and trouble is tried again', async ({
  rig,
}) => {
  const app = await tokenApp(rig);
  const [gone = '', bad = '', slow = '', fine = ''] = generateTokens({ count: 4, seed: 22 });
  const respond = (token: string, action: object, times?: number): object => ({
    on: 'http2',
    match: { token },
    ...(times === undefined ? {} : { times }),
    action: { kind: 'respond', ...action },
  });
  await rig.setFaults([
    respond(gone, { reason: 'Unregistered', timestamp: 1_700_000_000_123 }),
    respond(bad, { reason: 'BadDeviceToken' }),
    respond(slow, { reason: 'ServiceUnavailable', retryAfter: 1 }, 1),
  ]);
  const fleet = await openFleet(rig, app, 1);
  await rig.enqueue([gone, bad, slow, fine]);
  expect(await rig.settled()).toMatchObject({ enqueued: 4, accepted: 2, rejected: 2 });
  const exceptions = (await rig.reports()).flatMap((report) => report.exceptions);
  expect(exceptions.toSorted((a, b) => a.index - b.index)).toMatchObject([
    {
      token: gone,
      outcome: 'rejected',
      reason: 'Unregistered',
      status: 410,
      unregisteredAtMs: 1_700_000_000_123,
    },
    { token: bad, outcome: 'rejected', reason: 'BadDeviceToken', status: 400, tokenInvalid: true },
  ]);
  await fleet.stop();
});

test('over HTTP/2 no more is in flight than the settings say', async ({ rig }) => {
  await rig.setFaults([{ on: 'http2', action: { kind: 'delay', ms: 60_000 } }]);
  const gateway = { ...rig.app().gateway, port: rig.simulator.http2Port };
  const app = rig.app({ transport: 'http2', gateway, connections: 1, streams: 3, window: 1_000 });
  await rig.enqueue(generateTokens({ count: 5_000, seed: 26 }), 'transactional');
  const register = new Registry();
  const worker = await rig.openWorker([app], { register });
  await vi.waitFor(async () => {
    const metrics = await register.metrics();
    expect(metrics).toContain('pushfleet_window_occupancy_ratio{app="shop"} 1\n');
    expect(metrics).toMatch(/pushfleet_written_notifications_total\{[^}]*"transactional"[^}]*\} 3\n/);
  }, 20_000);
  await worker.stop(100);
});

test('over HTTP/2 a stop in mid-flight loses nothing and sends nothing twice', async ({ rig }) => {
  const app = await tokenApp(rig);
  await rig.setFaults([{ on: 'http2', action: { kind: 'delay', ms: 20 } }]);
  const first = await openFleet(rig, app, 1);
  await rig.enqueue(generateTokens({ count: 4_000, seed: 23 }), 'bulk');
  await vi.waitFor(
    async () => {
      expect((await rig.simulator.control.ledger()).received).toBeGreaterThan(300);
    },
    { timeout: 20_000 },
  );
  await first.stop();
  const { received } = await rig.simulator.control.ledger();
  expect(received).toBeLessThan(4_000);
  const second = await openFleet(rig, app, 1);
  expect(await rig.settled()).toMatchObject({ enqueued: 4_000, accepted: 4_000 });
  expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 4_000, duplicates: 0 });
  await second.stop();
});

test('over HTTP/2 a refused credential rests the app, and loses nothing', async ({ rig }) => {
  const app = await tokenApp(rig);
  await rig.setFaults([{ on: 'http2', action: { kind: 'respond', reason: 'InvalidProviderToken' } }]);
  const fleet = await openFleet(rig, app, 1);
  await rig.enqueue(generateTokens({ count: 30, seed: 24 }));
  await vi.waitFor(async () => expect(await fleet.metrics()).toMatch(/pushfleet_app_paused\{[^}]*\} 1/), {
    timeout: 10_000,
  });
  expect(await rig.totals()).toMatchObject({ enqueued: 30, accepted: 0, rejected: 0, dead: 0 });
  await fleet.stop();
  await rig.setFaults([]);
  const again = await openFleet(rig, app, 1);
  await liftPauses({ redis: rig.redis, prefix: rig.prefix }, 'shop', ['credential']);
  expect(await rig.settled()).toMatchObject({ enqueued: 30, accepted: 30 });
  await again.stop();
});

test('over HTTP/2 a proxy is used where the configuration names one', async ({ rig }) => {
  const asked: string[] = [];
  const proxy = createServer((client) => {
    client.once('data', (head: Buffer) => {
      asked.push(head.toString());
      const gateway = connect(rig.simulator.http2Port, '127.0.0.1');
      for (const [socket, other] of [
        [client, gateway],
        [gateway, client],
      ] as const) {
        socket.on('error', () => other.destroy());
      }
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(gateway).pipe(client);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const folder = await mkdtemp(join(tmpdir(), 'worker-proxy-'));
  const credentialFile = join(folder, 'proxy');
  await writeFile(credentialFile, 'user:secret\n');
  const { port } = proxy.address() as AddressInfo;
  const app = { ...(await tokenApp(rig)), proxy: { host: '127.0.0.1', port, credentialFile } };
  const fleet = await openFleet(rig, app, 1);
  await rig.enqueue(generateTokens({ count: 5, seed: 25 }));
  expect(await rig.settled()).toMatchObject({ enqueued: 5, accepted: 5 });
  await fleet.stop();
  proxy.close();
  await rm(folder, { recursive: true });
  expect(asked[0]).toContain(`CONNECT localhost:${rig.simulator.http2Port} HTTP/1.1`);
  expect(asked[0]).toContain(`proxy-authorization: Basic ${Buffer.from('user:secret').toString('base64')}`);
});
