import { setTimeout } from 'node:timers/promises';
import type { StartedService } from '@pushfleet/testkit';
import { afterAll, expect } from 'vitest';
import { metric, startWorker, tokens } from './worker-process.ts';
import { type Rig, stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

/** Notifications a second, for both workers together. */
const rate = 2_000;
const perCall = 100;
const confirmAfterMs = 1_000;

/** Sends at the pace of the clock, whatever else the machine has to do, until `isOver` says so. Returns how many. */
async function send(rig: Rig, isOver: (atMs: number) => Promise<boolean>): Promise<number> {
  const startedMs = performance.now();
  let sent = 0;
  for (let atMs = 0; !(await isOver(atMs)); atMs = performance.now() - startedMs) {
    for (const due = (atMs * rate) / 1_000; sent + perCall <= due; sent += perCall) {
      const from = sent % tokens.length;
      await rig.enqueue(tokens.slice(from, from + perCall), sent % 400 === 0 ? 'transactional' : 'bulk');
    }
    await setTimeout(10);
  }
  return sent;
}

const writtenBy = async (worker: StartedService) => metric(worker, 'pushfleet_written_notifications_total');

/** Kills a worker. Returns how many it has written since it had written `before`, at most. */
async function kill(worker: StartedService, before: number): Promise<number> {
  const askedMs = performance.now();
  const written = (await writtenBy(worker)) - before;
  await worker.kill();
  return written + ((performance.now() - askedMs) * rate) / 1_000;
}

/** Has the other worker end what is left. */
async function expectDoubled(rig: Rig, sent: number, other: StartedService, most: number): Promise<void> {
  expect(await rig.settled('shop', 90_000)).toMatchObject({ enqueued: sent, accepted: sent });
  await other.stop();
  const { unique, duplicates } = await rig.simulator.control.ledger();
  expect(unique).toBe(sent);
  expect(most).toBeGreaterThan(100);
  expect(duplicates).toBeLessThanOrEqual(most);
}

async function startTwo(rig: Rig, confirm: 'presumed' | 'proved'): Promise<[StartedService, StartedService]> {
  const app = { confirm, confirmAfter: confirmAfterMs, window: 1_000_000 };
  return Promise.all([startWorker(rig, {}, app), startWorker(rig, {}, app)]);
}

// The bound of docs/delivery.md: what a worker wrote in the time until silence or a proof settles it, and until a
// checkpoint says so.

const checkpointMs = 500;

test('a killed worker has no more sent twice than the published bound: presumed', {
  timeout: 150_000,
}, async ({ rig }) => {
  const [killed, other] = await startTwo(rig, 'presumed');
  const killAfterMs = 6_000;
  let before: number | undefined;
  let bound = 0;
  const sent = await send(rig, async (atMs) => {
    if (atMs >= killAfterMs - confirmAfterMs - checkpointMs) before ??= await writtenBy(killed);
    if (atMs >= killAfterMs && killed.process.running) bound = await kill(killed, before!);
    return atMs >= 2 * killAfterMs;
  });
  await expectDoubled(rig, sent, other, bound);
});

/** From the time when a rotation begins until its proof is known, milliseconds. */
const changeOverMs = 1_000;

test('a killed worker has no more sent twice than the published bound: proved', {
  timeout: 150_000,
}, async ({ rig }) => {
  const [killed, other] = await startTwo(rig, 'proved');
  const samples: { readonly atMs: number; readonly written: number }[] = [];
  let killedAtMs: number | undefined;
  let bound = 0;
  const sent = await send(rig, async (atMs) => {
    if (killed.process.running && atMs - (samples.at(-1)?.atMs ?? 0) >= 200) {
      // Before the look at the rotations: what had been written by then is the more certain to be proved.
      samples.push({ atMs, written: await writtenBy(killed) });
      const rotations = await metric(killed, 'pushfleet_connections_closed_total', 'end="rotated"');
      // The second of each lane: the first comes at once, and the floor between two is kept.
      if (rotations >= 4) {
        const { written } = samples.findLast((sample) => sample.atMs <= atMs - changeOverMs - checkpointMs)!;
        bound = await kill(killed, written);
        killedAtMs = atMs;
      }
    }
    expect(atMs).toBeLessThan(60_000);
    return killedAtMs !== undefined && atMs >= killedAtMs + 3_000;
  });
  // Far less than between two rotations.
  expect(bound).toBeLessThan((samples.at(-1)!.written * 2) / 3);
  await expectDoubled(rig, sent, other, bound);
});
