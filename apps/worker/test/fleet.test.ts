import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPauses, readWorkers, resumeApp } from '@pushfleet/push-queue';
import type { FleetApp } from '@pushfleet/service-kit';
import { createPrivateFolder, generateTokens } from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { Registry } from 'prom-client';
import { afterAll, describe, expect, onTestFinished, vi } from 'vitest';
import { seriesValue } from './series-value.ts';
import { type Rig, stopSimulator, test } from './worker-test.ts';

// Several workers, of which not all can send.

afterAll(stopSimulator);

const tokens = generateTokens({ count: 2_000 });
const transports = ['binary', 'http2'] as const;

function appOn(rig: Rig, transport: FleetApp['transport'], change: Partial<FleetApp> = {}): FleetApp {
  const { simulator } = rig;
  const port = transport === 'binary' ? simulator.binaryPort : simulator.http2Port;
  const gateway = { host: 'localhost', port, ca: join(simulator.tlsDir, 'ca.pem') };
  return rig.app({ transport, gateway, ...change });
}

/** Authorities that have not signed the gateway's certificate. */
async function foreignAuthority(): Promise<string> {
  const folder = await createPrivateFolder('worker-authority');
  onTestFinished(async () => folder.remove());
  const path = join(folder.path, 'ca.pem');
  await writeFile(path, (await TestAuthority.create()).certificatePem);
  return path;
}

/** A certificate that the gateway does not take any more. */
async function staleCertificate(): Promise<{ cert: string; key: string }> {
  const folder = await createPrivateFolder('worker-stale');
  onTestFinished(async () => folder.remove());
  const { certificatePem, privateKeyPem } = await (await TestAuthority.create()).issueApnsCertificate({
    topic: 'com.example.shop',
  });
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
  await Promise.all([writeFile(cert, certificatePem), writeFile(key, privateKeyPem)]);
  return { cert, key };
}

/** Everything that looks at the pauses of the app while `work` goes on has seen. */
async function pausesDuring(rig: Rig, work: () => Promise<void>): Promise<{ looks: number; paused: number }> {
  let isOver = false;
  const seen = { looks: 0, paused: 0 };
  const looking = (async () => {
    while (!isOver) {
      seen.looks++;
      if ((await readPauses(rig, 'shop')).length > 0) seen.paused++;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  await work().finally(() => {
    isOver = true;
  });
  await looking;
  return seen;
}

describe.each(transports)('over %s', (transport) => {
  test.for(['authorities of its own', 'a stale certificate'] as const)(
    'a worker with %s takes none of the jobs of the app, and the fleet goes on',
    { timeout: 120_000 },
    async (trouble, { rig }) => {
      const app = appOn(rig, transport);
      const ill =
        trouble === 'a stale certificate'
          ? { ...app, credential: await staleCertificate() }
          : { ...app, gateway: { ...app.gateway, ca: await foreignAuthority() } };
      const register = new Registry();
      const isolated = await rig.openWorker([ill], { register });
      await rig.openWorker([app]);
      const isUnable = async () => {
        const metrics = await register.metrics();
        return ['credential', 'topic', 'worker'].some(
          (cause) => seriesValue(metrics, `pushfleet_worker_app_unable{app="shop",cause="${cause}"}`) === 1,
        );
      };
      const seen = await pausesDuring(rig, async () => {
        await vi.waitFor(
          async () => {
            // It connects only when it has taken a job, and the other worker is faster.
            for (let job = 0; job < 5; job++) await rig.enqueue(tokens.slice(0, 10), 'bulk');
            expect(await isUnable()).toBe(true);
          },
          { timeout: 100_000, interval: 100 },
        );
        for (let batch = 0; batch < 5; batch++) await rig.enqueue(tokens);
        const { enqueued, accepted } = await rig.settled();
        expect(accepted).toBe(enqueued);
      });
      expect(seen).toEqual({ looks: expect.any(Number), paused: 0 });
      expect(isolated.readiness()).toEqual([expect.stringContaining('shop cannot be sent for')]);
      const said = (await readWorkers(rig)).map(({ troubles }) => troubles.shop?.reason);
      expect(said.filter((reason) => reason !== undefined)).toHaveLength(1);
      // What a worker says goes with it.
      await isolated.stop(1_000);
      expect((await readWorkers(rig)).map(({ troubles }) => troubles)).toEqual([{}]);
    },
  );

  test('the fleet pauses when every worker is refused; a worker that is let in lifts the pause', async ({
    rig,
  }) => {
    const refuse =
      transport === 'binary'
        ? { on: 'binary', action: { kind: 'reject', status: 3 } }
        : { on: 'http2', action: { kind: 'respond', status: 403, reason: 'InvalidProviderToken' } };
    await rig.setFaults([refuse]);
    const app = appOn(rig, transport);
    const workers = await Promise.all([rig.openWorker([app]), rig.openWorker([app])]);
    for (let batch = 0; batch < 4; batch++) await rig.enqueue(tokens, 'bulk');
    await vi.waitFor(async () => expect(await readPauses(rig, 'shop')).toHaveLength(1), { timeout: 30_000 });
    for (const worker of workers) {
      expect(worker.details()).toMatchObject({ apps: { shop: { trouble: expect.anything() } } });
      // What the fleet is paused for makes no worker unready.
      await vi.waitFor(() => expect(worker.readiness()).toEqual([]));
    }
    await rig.setFaults([]);
    expect(await resumeApp(rig, 'shop', ['credential', 'topic'], 10_000)).toEqual({
      pauses: [],
      troubles: [],
      unheard: 0,
    });
    expect(await rig.settled()).toMatchObject({ accepted: 8_000, dead: 0 });
    expect(await readPauses(rig, 'shop')).toEqual([]);
  });
});

test('a pause of workers that are gone is kept until its hold ends, and tried by the next', async ({
  rig,
}) => {
  const untilMs = Date.now() + 2_500;
  await rig.redis.hset(
    `${rig.prefix}:{shop}:pauses`,
    'credential',
    JSON.stringify({ reason: 'TooManyProviderTokenUpdates', sinceMs: 1, untilMs }),
  );
  await rig.openWorker();
  await rig.enqueue(tokens);
  const { accepted } = await rig.settled();
  expect(accepted).toBe(2_000);
  expect(Date.now()).toBeGreaterThanOrEqual(untilMs);
  expect(await readPauses(rig, 'shop')).toEqual([]);
});

test('version, host and apps of a worker are known while it lives', async ({ rig }) => {
  await rig.openWorker([rig.app(), rig.app({ id: 'news' })]);
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  await vi.waitFor(async () =>
    expect(await readWorkers(rig)).toMatchObject([{ pid: process.pid, version, apps: ['shop', 'news'] }]),
  );
});
