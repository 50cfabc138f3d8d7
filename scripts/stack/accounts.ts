import type { BatchStatus, Load } from './load.ts';

/** The sums of what became of everything that was sent. */
export interface Accounts {
  readonly enqueued: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly dead: number;
  readonly queued: number;
}

const none: Accounts = {
  enqueued: 0,
  accepted: 0,
  rejected: 0,
  expired: 0,
  cancelled: 0,
  dead: 0,
  queued: 0,
};

/** How many statuses are asked for at once. */
const concurrency = 16;

/** Asks for every batch until all have finished. @throws Error with the sums when `timeoutMs` have passed */
export async function settleAccounts(load: Load, timeoutMs: number): Promise<Accounts> {
  const deadline = Date.now() + timeoutMs;
  const finished = new Map<string, BatchStatus>();
  for (;;) {
    const open = load.batches.filter((batch) => !finished.has(batch));
    let sums = none;
    for (let at = 0; at < open.length; at += concurrency) {
      const statuses = await Promise.all(
        open.slice(at, at + concurrency).map(async (batch) => load.status(batch)),
      );
      for (const status of statuses) {
        if (status.state === 'finished') finished.set(status.batchId, status);
        else sums = add(sums, status);
      }
    }
    const total = [...finished.values()].reduce(add, sums);
    if (finished.size === load.batches.length) return total;
    if (Date.now() > deadline) throw new Error(`not settled in time: ${JSON.stringify(total)}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

function add(sums: Accounts, status: BatchStatus): Accounts {
  return {
    enqueued: sums.enqueued + status.size,
    accepted: sums.accepted + status.accepted,
    rejected: sums.rejected + status.rejected,
    expired: sums.expired + status.expired,
    cancelled: sums.cancelled + status.cancelled,
    dead: sums.dead + status.dead,
    queued: sums.queued + status.queued,
  };
}
