import type { SimulatorControl, StartedService } from '@pushfleet/testkit';
import { afterAll, expect, vi } from 'vitest';
import { enqueueMany, metric, received, startWorker } from './worker-process.ts';
import { stopSimulator, test } from './worker-test.ts';

afterAll(stopSimulator);

const enqueued = 60_000;
const window = 20_000;
/**
 * Notifications of two chunks of 128 KiB, at 100 bytes or more each: what a socket had been given when the process was
 * stopped in mid-write goes out before any of our code runs again.
 */
const givenToSockets = 2_622;

/** Waits until the gateway has read what lies in its sockets; returns how many it has received. */
async function quiet(control: SimulatorControl): Promise<number> {
  let last = -1;
  return vi.waitFor(
    async () => {
      const { received: now } = await control.ledger();
      const before = last;
      last = now;
      expect(now).toBe(before);
      return now;
    },
    { timeout: 20_000, interval: 500 },
  );
}

test.for([
  { confirm: 'presumed', onUncertain: 'drop' },
  { confirm: 'presumed', onUncertain: 'resend' },
  { confirm: 'proved', onUncertain: 'resend' },
])(
  'a worker that stood still writes nothing more of jobs that are another’s, and counts nothing of them: %o',
  { timeout: 150_000 },
  async (app, { rig }) => {
    const { control } = rig.simulator;
    await enqueueMany(rig, enqueued);
    // Slow enough that there is something in every queue on the way.
    await rig.setFaults([{ on: 'binary', action: { kind: 'slowReading', bytesPerSecond: 1_000_000 } }]);
    const still = await startWorker(rig, {}, { ...app, window });
    await received(rig, 5_000);
    still.process.signal('SIGSTOP');
    const other = await startWorker(rig, {}, { ...app, window });
    await rig.setFaults([]);
    // The other one has ended all of it.
    const { accepted, dead, ...others } = await rig.settled('shop', 90_000);
    expect(others).toEqual({ enqueued, rejected: 0, expired: 0, cancelled: 0 });
    expect(accepted + dead).toBe(enqueued);
    if (app.onUncertain === 'resend') expect(dead).toBe(0);
    const settled = async (worker: StartedService, outcome: string) =>
      metric(worker, 'pushfleet_settled_notifications_total', `outcome="${outcome}`);
    const counted = { accepted: await settled(other, 'accepted'), dead: await settled(other, 'dead') };
    // It ends with a proof: the gateway has read all that it wrote.
    await other.stop();
    const before = await quiet(control);
    const woken = still.process.waitForLine(
      ({ text }) => (text.includes('was suspended') ? true : undefined),
      {
        what: 'did not notice that it was suspended',
        timeoutMs: 60_000,
      },
    );
    still.process.signal('SIGCONT');
    await woken;
    await vi.waitFor(async () => expect(await metric(still, 'pushfleet_jobs_active')).toBe(0), {
      timeout: 30_000,
    });
    counted.accepted += await settled(still, 'accepted');
    counted.dead += await settled(still, 'dead');
    expect(counted).toEqual({ accepted, dead });
    await still.stop();
    const after = await control.ledger();
    expect(after.received - before).toBeLessThanOrEqual(givenToSockets);
    if (app.onUncertain === 'drop') expect(after.duplicates).toBeLessThanOrEqual(givenToSockets);
    // What was in flight: one connection of two carries the bulk lane.
    else expect(after.duplicates).toBeLessThanOrEqual(window);
  },
);
