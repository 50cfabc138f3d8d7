import { setTimeout } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import { metric, startWorker, tokens } from './worker-process.ts';
import { stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

/** Notifications a second, for both workers together. */
const rate = 2_000;
const forMs = 12_000;
const killAfterMs = 6_000;
const perCall = 100;

// The bound of docs/delivery.md, as the time for which a worker's rate counts: until silence or a proof settles what it
// wrote, and until a checkpoint says so. A proof waits for what is left of 10 s between two rotations, and 5 s at most.
const confirmAfterMs = 1_000;
const rotationMs = 15_000;
const checkpointMs = 500;
const boundMs = {
  presumed: confirmAfterMs + checkpointMs,
  proved: confirmAfterMs + rotationMs + checkpointMs,
} as const;

test.for(['presumed', 'proved'] as const)(
  'a killed worker has no more sent twice than the published bound: %s',
  { timeout: 150_000 },
  async (confirm, { rig }) => {
    const app = { confirm, confirmAfter: confirmAfterMs, window: 1_000_000 };
    const workers = await Promise.all([startWorker(rig, {}, app), startWorker(rig, {}, app)]);
    const killed = workers[0];
    const writtenNow = async () => metric(killed, 'pushfleet_written_notifications_total');
    const startedMs = performance.now();
    let bound = 0;
    let writtenBefore: number | undefined;
    let sent = 0;
    // At the pace of the clock, whatever else the machine has to do.
    for (let atMs = 0; atMs < forMs; atMs = performance.now() - startedMs) {
      for (const due = (atMs * rate) / 1_000; sent + perCall <= due; sent += perCall) {
        const from = sent % tokens.length;
        await rig.enqueue(tokens.slice(from, from + perCall), sent % 400 === 0 ? 'transactional' : 'bulk');
      }
      if (atMs >= killAfterMs - boundMs[confirm]) writtenBefore ??= await writtenNow();
      if (atMs >= killAfterMs && killed.process.running) {
        const askedMs = performance.now();
        const written = (await writtenNow()) - writtenBefore!;
        await killed.kill();
        // What it wrote in that time, and until it was dead.
        bound = written + ((performance.now() - askedMs) * rate) / 1_000;
      }
      await setTimeout(10);
    }
    expect(await rig.settled('shop', 90_000)).toMatchObject({ enqueued: sent, accepted: sent });
    await workers[1].stop();
    const { unique, duplicates } = await rig.simulator.control.ledger();
    expect(unique).toBe(sent);
    expect(bound).toBeGreaterThan(100);
    expect(duplicates).toBeLessThanOrEqual(bound);
  },
);
