import {
  createPrivateFolder,
  generateTokens,
  type StartedService,
  simulatorApp,
  startService,
  writeFleetFile,
} from '@pushfleet/testkit';
import { expect, onTestFinished, vi } from 'vitest';
import type { Rig } from './worker-test.ts';

// Workers as processes of their own, to be killed and stopped.

export const tokens = generateTokens({ count: 5_000 });
const lockDurationMs = 2_000;

/** @param app Settings of the app `shop`. */
export async function startWorker(
  rig: Rig,
  env: Record<string, string> = {},
  app: object = {},
): Promise<StartedService> {
  const folder = await createPrivateFolder('worker-test');
  const configPath = await writeFleetFile(folder.path, {
    shop: simulatorApp(rig.simulator, { confirmAfter: '300ms', window: 20_000, ...app }),
  });
  const worker = await startService('worker', {
    redisUrl: rig.redisUrl,
    redisPrefix: rig.prefix,
    configPath,
    env: { PUSHFLEET_LOCK_DURATION: `${lockDurationMs}ms`, ...env },
  });
  onTestFinished(async () => {
    await worker.kill();
    await folder.remove();
  });
  return worker;
}

export async function enqueueMany(rig: Rig, notifications: number): Promise<void> {
  for (let sent = 0; sent < notifications; sent += tokens.length) await rig.enqueue(tokens, 'bulk');
}

/** Waits until the gateway has received so many. */
export async function received(rig: Rig, notifications: number): Promise<void> {
  await vi.waitFor(
    async () => expect((await rig.simulator.control.ledger()).received).toBeGreaterThanOrEqual(notifications),
    { timeout: 20_000, interval: 5 },
  );
}

/** The sum of a metric of a worker over its series whose labels match. */
export async function metric(worker: StartedService, name: string, labels = ''): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${worker.adminPort}/metrics`);
  const lines = (await answer.text()).split('\n');
  return lines
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
