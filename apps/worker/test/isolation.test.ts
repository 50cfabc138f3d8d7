import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { generateTokens, openFaultProxy } from '@pushfleet/testkit';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import { type Rig, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const tokens = generateTokens({ count: 5_000 });

/** A gateway that takes connections and never says a word. */
async function openSilentPort(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function gatewayConnections(rig: Rig): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${rig.simulator.controlPort}/connections`);
  return ((await answer.json()) as { binary: { open: number } }).binary.open;
}

test('the transactional lane goes before a bulk backlog', async ({ rig }) => {
  for (let batch = 0; batch < 16; batch++) await rig.enqueue(tokens, 'bulk');
  await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 4_000_000 } }]);
  await rig.openWorker([rig.app({ window: 5_000 })]);
  const received = async () => (await rig.simulator.control.ledger()).received;
  await vi.waitFor(async () => expect(await received()).toBeGreaterThan(2_000), { interval: 5 });
  const { notificationId } = await rig.queue.enqueue({ app: 'shop', token: tokens[0]!, alert: 'Your code' });
  await vi.waitFor(
    async () => {
      const jobs = (await rig.reports()).map(({ batch }) => batch.slice(0, 28));
      expect(jobs).toContain(notificationId.slice(0, 28));
    },
    { timeout: 20_000, interval: 10 },
  );
  expect(await received()).toBeLessThan(60_000);
  await rig.setFaults([]);
  expect(await rig.settled()).toMatchObject({ accepted: 80_001 });
});

test('dead and stuck gateways delay no other app, and hold few of their own jobs', async ({ rig }) => {
  const silent = { ...rig.app().gateway, port: await openSilentPort() };
  const dead = { ...rig.app().gateway, port: 1 };
  await rig.openWorker([
    rig.app({ id: 'silent', gateway: silent }),
    rig.app({ id: 'dead', gateway: dead }),
    rig.app(),
  ]);
  for (const app of ['silent', 'dead']) {
    for (let batch = 0; batch < 10; batch++) await rig.enqueue(tokens, 'bulk', app);
  }
  await vi.waitFor(async () => expect(await rig.active('silent')).toBeGreaterThan(0));
  for (let batch = 0; batch < 4; batch++) await rig.enqueue(tokens, 'bulk');
  expect(await rig.settled()).toMatchObject({ accepted: 20_000 });
  for (const app of ['silent', 'dead']) {
    expect(await rig.totals(app)).toMatchObject({ enqueued: 50_000, accepted: 0, dead: 0 });
    expect(await rig.active(app)).toBeLessThanOrEqual(12);
  }
  // Another worker may reach it.
  await vi.waitFor(async () => expect(await rig.active('dead')).toBe(0));
});

test('300 idle apps cost three connections to Redis and none to a gateway; each is served at once', async ({
  rig,
}) => {
  const apps = Array.from({ length: 300 }, (_, at) => rig.app({ id: `app-${at}` }));
  // Other test files use the same Redis: what comes this way is this worker's.
  const redisUrl = new URL(rig.redisUrl);
  const proxy = await openFaultProxy({ target: { host: redisUrl.hostname, port: Number(redisUrl.port) } });
  onTestFinished(() => proxy.close());
  redisUrl.hostname = proxy.host;
  redisUrl.port = String(proxy.port);
  await rig.openWorker(apps, { pollIntervalMs: 2_000, redisUrl: redisUrl.href });
  await rig.enqueue(tokens.slice(0, 10), 'bulk', 'app-7');
  await rig.enqueue(tokens.slice(0, 10), 'transactional', 'app-299');
  expect(await rig.settled('app-7')).toMatchObject({ accepted: 10 });
  expect(await rig.settled('app-299')).toMatchObject({ accepted: 10 });
  expect(proxy.connections).toHaveLength(3);
  expect(await gatewayConnections(rig)).toBe(2);
});

test('two workers share the jobs of an app, and send none twice', async ({ rig }) => {
  await Promise.all([rig.openWorker(), rig.openWorker()]);
  for (let batch = 0; batch < 8; batch++) await rig.enqueue(tokens, 'bulk');
  expect(await rig.settled()).toMatchObject({ accepted: 40_000 });
  // What silence has settled may still be on its way: the gateway reads it all the same.
  await vi.waitFor(
    async () => expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 40_000, duplicates: 0 }),
    { timeout: 20_000, interval: 20 },
  );
  expect(await rig.reports()).toHaveLength(40);
});

test('a scheduled send goes out at its time', async ({ rig }) => {
  await rig.openWorker();
  const sendAt = new Date(Date.now() + 1_500);
  await rig.queue.enqueue({ app: 'shop', token: tokens[0]!, alert: 'Now', sendAt });
  expect(await rig.settled()).toMatchObject({ accepted: 1 });
  const [report] = await rig.reports();
  expect(report!.settledAtMs).toBeGreaterThanOrEqual(sendAt.getTime());
});
