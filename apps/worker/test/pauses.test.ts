import { readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBinaryTransport } from '@pushfleet/apns-client';
import { liftPauses, pauseApp, readPauses, readWorkers } from '@pushfleet/push-queue';
import { createPrivateFolder, generateTokens } from '@pushfleet/testkit';
import { TestAuthority } from '@pushfleet/testkit/certificates';
import { afterAll, expect, onTestFinished, vi } from 'vitest';
import type { CreateTransport } from '../src/gateway/create-transport.ts';
import { type Rig, reject, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const tokens = generateTokens({ count: 2_000 });

/** A transport that is quick to try whether a trouble is over. */
const quickToProbe: CreateTransport = (app, credential, observer) =>
  createBinaryTransport({
    host: app.gateway.host,
    port: app.gateway.port,
    ca: readFileSync(app.gateway.ca!, 'utf8'),
    credential: credential.tls,
    pauseProbeMs: 400,
    confirmAfterMs: app.confirmAfterMs,
    observer,
  });

async function causes(rig: Rig): Promise<string[]> {
  return (await readPauses(rig, 'shop')).map(({ cause }) => cause);
}

test('an app that an operator has paused rests until the pause is lifted; others go on', async ({ rig }) => {
  await pauseApp(rig, 'shop', { cause: 'operator', reason: 'by hand', sinceMs: 1 });
  await rig.openWorker([rig.app(), rig.app({ id: 'news' })]);
  await rig.enqueue(tokens.slice(0, 100));
  await rig.enqueue(tokens.slice(0, 50), 'bulk', 'news');
  expect(await rig.settled('news')).toMatchObject({ accepted: 50 });
  expect(await rig.totals()).toMatchObject({ enqueued: 100, accepted: 0 });
  expect(await rig.active()).toBe(0);
  await liftPauses(rig, 'shop', ['operator']);
  expect(await rig.settled()).toMatchObject({ accepted: 100 });
});

test('a refused topic pauses the app for the fleet; it goes on by itself when the trouble is over', async ({
  rig,
}) => {
  await rig.setFaults([reject({}, { status: 3 })]);
  await rig.enqueue(tokens.slice(0, 1_500));
  await rig.openWorker([rig.app()], { createTransport: quickToProbe });
  await vi.waitFor(async () => expect(await causes(rig)).toEqual(['topic']), { timeout: 10_000 });
  expect(await rig.totals()).toMatchObject({ accepted: 0, rejected: 0, dead: 0 });
  await rig.setFaults([]);
  expect(await rig.settled()).toMatchObject({ accepted: 1_500 });
  expect(await rig.simulator.control.ledger()).toMatchObject({ unique: 1_500, duplicates: 0 });
  await vi.waitFor(async () => expect(await causes(rig)).toEqual([]));
});

test('a refused certificate has the worker take nothing until its file is replaced; other apps go on', async ({
  rig,
}) => {
  const folder = await createPrivateFolder('worker-credential');
  onTestFinished(async () => folder.remove());
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
  const stranger = await (await TestAuthority.create()).issueApnsCertificate({ topic: 'com.example.shop' });
  await Promise.all([writeFile(cert, stranger.certificatePem), writeFile(key, stranger.privateKeyPem)]);
  await rig.openWorker([rig.app({ credential: { cert, key } }), rig.app({ id: 'news' })]);
  await rig.enqueue(tokens.slice(0, 100));
  const troubles = async () => (await readWorkers(rig)).map((worker) => worker.troubles.shop);
  await vi.waitFor(async () => expect(await troubles()).toEqual([expect.anything()]), { timeout: 20_000 });
  await rig.enqueue(tokens.slice(0, 50), 'transactional', 'news');
  expect(await rig.settled('news')).toMatchObject({ accepted: 50 });
  expect(await rig.active()).toBe(0);
  const good = rig.app().credential as { cert: string; key: string };
  await Promise.all([copyFile(good.cert, cert), copyFile(good.key, key)]);
  expect(await rig.settled()).toMatchObject({ accepted: 100 });
  await vi.waitFor(async () => expect(await troubles()).toEqual([undefined]));
  expect(await causes(rig)).toEqual([]);
});

test('a certificate that is missing here makes this worker take nothing, and pauses no other', async ({
  rig,
}) => {
  const folder = await createPrivateFolder('worker-credential');
  onTestFinished(async () => folder.remove());
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
  const worker = await rig.openWorker([rig.app({ credential: { cert, key } })]);
  await rig.enqueue(tokens.slice(0, 100));
  const reason = expect.stringContaining('There is no file');
  const shop = { paused: {}, trouble: { about: 'worker', reason } };
  await vi.waitFor(() => expect(worker.details()).toMatchObject({ apps: { shop } }));
  expect(worker.readiness()).toEqual([reason]);
  expect(await causes(rig)).toEqual([]);
  const good = rig.app().credential as { cert: string; key: string };
  await copyFile(good.key, key);
  await copyFile(good.cert, cert);
  expect(await rig.settled()).toMatchObject({ accepted: 100 });
});

test('a pause that a worker left behind is lifted by the next one, when the gateway takes a job', async ({
  rig,
}) => {
  await pauseApp(rig, 'shop', { cause: 'credential', reason: 'expired', sinceMs: 1 });
  await rig.enqueue(tokens.slice(0, 300));
  await rig.enqueue(tokens.slice(0, 300));
  await rig.openWorker();
  expect(await rig.settled()).toMatchObject({ accepted: 600 });
  expect(await causes(rig)).toEqual([]);
});

test('too many invalid tokens pause the app, and what tripped the breaker speaks against no device', async ({
  rig,
}) => {
  await rig.setFaults([reject({})]);
  await rig.enqueue(tokens.slice(0, 1_000));
  await rig.enqueue(tokens.slice(1_000, 2_000));
  await rig.openWorker([rig.app({ breaker: { rate: 0.5, minimum: 60, windowMs: 60_000 } })]);
  await vi.waitFor(async () => expect(await causes(rig)).toEqual(['invalid-tokens']), { timeout: 20_000 });
  await vi.waitFor(async () => expect(await rig.active()).toBe(0), { timeout: 20_000 });
  await rig.setFaults([]);
  await liftPauses(rig, 'shop', ['invalid-tokens']);
  const { rejected, accepted } = await rig.settled();
  expect(accepted + rejected).toBe(2_000);
  expect(rejected).toBeGreaterThanOrEqual(30);
  expect(rejected).toBeLessThan(200);
  const exceptions = (await rig.reports()).flatMap((report) => report.exceptions);
  expect(exceptions).toHaveLength(rejected);
  expect(exceptions.filter(({ tokenInvalid }) => tokenInvalid === true).length).toBeLessThanOrEqual(30);
});
