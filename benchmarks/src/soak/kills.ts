import { createRandom } from '@pushfleet/testkit';
import { enqueueBulk } from '../bulk.ts';
import { startFleet, waitForLedger } from '../fleet.ts';
import { waitForAllAccepted } from '../totals.ts';

export interface KillsOptions {
  readonly rounds: number;
  /** Notifications in each round. */
  readonly size: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

const connections = 2;
const window = 20_000;
/** What a killed worker may have sent that is sent again: the bound of docs/delivery.md. */
const duplicatesPerKill = connections * window;

/**
 * Kills a worker at a random moment of each round while it streams; another takes over. Nothing may be lost, and what
 * comes twice stays within the bound.
 */
export async function runKills({ rounds, size, seed, say }: KillsOptions): Promise<boolean> {
  const random = createRandom(seed);
  const fleet = await startFleet({
    app: { connections, window, confirmAfter: '200ms' },
    simulatorArgs: ['--record-limit', '0', '--max-unique', String((rounds + 1) * size)],
  });
  const env = { PUSHFLEET_LOCK_DURATION: '2s' };
  try {
    let worker = await fleet.startWorker(env);
    let duplicatesBefore = 0;
    let ok = true;
    for (let round = 1; round <= rounds; round++) {
      const { control } = fleet.simulator;
      const { received } = await control.ledger();
      const moment = Math.floor(random() * size);
      const enqueued = enqueueBulk(fleet.queue, size, (round - 1) * Math.ceil(size / 5_000));
      await waitForLedger(fleet.simulator, received + moment, 120_000);
      await worker.kill();
      worker = await fleet.startWorker(env);
      await enqueued;
      await waitForAllAccepted(fleet, 120_000);
      const { unique, duplicates } = await control.ledger();
      const lost = round * size - unique;
      const again = duplicates - duplicatesBefore;
      duplicatesBefore = duplicates;
      ok &&= lost === 0 && again <= duplicatesPerKill;
      say(
        `round ${round}: killed after ${moment} of ${size}; accepted all; lost ${lost}, duplicates ${again} (at most ${duplicatesPerKill})`,
      );
    }
    return ok;
  } finally {
    await fleet.stop();
  }
}
