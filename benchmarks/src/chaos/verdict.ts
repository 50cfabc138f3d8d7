import { setTimeout as delay } from 'node:timers/promises';
import { createClient, type PushfleetClient } from '@pushfleet/client';
import { BrokenPromises } from './broken-promises.ts';
import type { ChaosFleet } from './fleet.ts';
import { type ChaosApp, type ClientMemory, chaosApps } from './memory.ts';
import { type Outcome, readOutcomes } from './outcomes.ts';
import { type Receipt, readLedger } from './receipts.ts';
import type { DoublesByCause, Timeline } from './timeline.ts';

/** What a run has shown. */
export interface Verdict {
  /** Promises that did not hold, a line each with the history around it; none: all held. */
  readonly broken: readonly string[];
  readonly outcomes: Readonly<Record<string, number>>;
  readonly doubles: DoublesByCause;
  /** From the end of the last fault until everything had its outcome, milliseconds. */
  readonly recoveryMs: number;
}

/** How long everything may take to settle once the faults are over: retries wait up to minutes. */
const settleTimeoutMs = 240_000;
/** How far clocks may be apart: workers take what is due by Redis' clock and theirs. */
const clockMs = 1_000;

/**
 * Waits until all is settled, then follows every notification that a client was promised from its memory through its
 * outcome to the gateway's ledger, and compares the sums of API, Redis and Postgres.
 */
export async function judge(
  fleet: ChaosFleet,
  memory: ClientMemory,
  timeline: Timeline,
  say: (line: string) => void,
): Promise<Verdict> {
  const broken = new BrokenPromises(timeline);
  const api = createClient({ baseUrl: fleet.apiUrls[0]!, timeoutMs: 30_000 });
  const startMs = performance.now();
  await untilSettled(api, broken);
  const recoveryMs = performance.now() - startMs;
  say('everything has its outcome');
  for (const answer of memory.wrongAnswers) broken.add('an answer that no client may get', answer);
  const receipts = await readLedger(fleet);
  const outcomes: Record<string, number> = {};
  const doubles: Record<ChaosApp, Record<string, number>> = { binary: {}, http2: {}, once: {} };
  const count = (what: string): void => {
    outcomes[what] = (outcomes[what] ?? 0) + 1;
  };
  const checkDoubles = (app: ChaosApp, what: string, list: readonly Receipt[]): void => {
    const taken = list.filter(({ isTaken }) => isTaken);
    if (taken.length < 2) return;
    const event = timeline.explain(app, taken[0]!.atMs);
    if (event === undefined) broken.add('a double that nothing explains', what, taken[0]!.atMs);
    // A process that was stopped in mid-write is the one exception that docs/delivery.md makes.
    else if (app === 'once' && event.name !== 'a worker stands still') {
      broken.add('a double of an app that sends at most once', what, taken[0]!.atMs);
    }
    const name = event?.name ?? 'nothing';
    doubles[app][name] = (doubles[app][name] ?? 0) + taken.length - 1;
  };

  const states = await readOutcomes(api, memory.notifications);
  say('every outcome is read');
  for (const item of memory.notifications) {
    const { app, mark, token, kind, notificationId, cancelledAt } = item;
    const list = receipts.get(`${mark} ${token}`) ?? [];
    const what = `${kind} ${notificationId ?? '(no answer)'} of ${app}, mark ${mark}`;
    checkDoubles(app, what, list);
    if (notificationId === undefined) continue;
    const state = states.get(notificationId);
    count(`${app} ${state?.state ?? 'unknown'}`);
    const isTaken = list.some((receipt) => receipt.isTaken);
    if (cancelledAt !== undefined && isTaken)
      broken.add('sent after its cancellation was answered', what, list[0]!.atMs);
    if (item.sendAtMs !== undefined && (list[0]?.atMs ?? item.sendAtMs) < item.sendAtMs - clockMs) {
      broken.add('sent before its time', what, list[0]!.atMs);
    }
    const wrong = contradictionOf(app, state, list);
    if (wrong !== undefined) broken.add(wrong, what, list[0]?.atMs);
  }
  checkOrder(memory, receipts, timeline, broken);
  await checkBroadcasts(api, memory, receipts, broken, checkDoubles);
  await checkSums(api, fleet, broken);
  say('sums are compared');
  await checkBatches(api, memory, broken);
  return { broken: broken.lines, outcomes, doubles, recoveryMs };
}

/** What does not fit together in the end of a notification; undefined: nothing. */
function contradictionOf(
  app: ChaosApp,
  state: Outcome | undefined,
  receipts: readonly Receipt[],
): string | undefined {
  if (state === undefined) return 'answered 202 and unknown afterwards';
  const isTaken = receipts.some((receipt) => receipt.isTaken);
  switch (state.state) {
    case 'accepted':
      return isTaken ? undefined : 'lost: accepted, and the gateway never took it';
    case 'rejected':
      if (state.reason !== undefined && transientReasons.has(state.reason))
        return `rejected: ${state.reason}`;
      return receipts.some((receipt) => !receipt.isTaken)
        ? undefined
        : `rejected, and the gateway refused another: ${state.reason}`;
    case 'cancelled':
      return isTaken ? 'cancelled, and the gateway took it' : undefined;
    case 'dead':
      return app === 'once' && state.reason === 'uncertain'
        ? undefined
        : `dead by a fault that is not its own: ${state.reason}`;
    default:
      return `no outcome: ${state.state}`;
  }
}

/** By which nothing may end: they are the gateway's trouble. */
const transientReasons = new Set([
  'InternalServerError',
  'ServiceUnavailable',
  'TooManyRequests',
  'Shutdown',
]);

async function untilSettled(api: PushfleetClient, broken: BrokenPromises): Promise<void> {
  const endMs = performance.now() + settleTimeoutMs;
  for (;;) {
    const queued = await Promise.all(chaosApps.map(async (app) => queuedOf(api, app)));
    if (queued.every((count) => count === 0)) return;
    if (performance.now() > endMs) {
      broken.add('not settled in time', chaosApps.map((app, at) => `${app} ${queued[at]}`).join(', '));
      return;
    }
    await delay(500);
  }
}

async function queuedOf(api: PushfleetClient, app: ChaosApp): Promise<number> {
  try {
    const { totals } = await api.call('GET /v1/apps/{app}', { path: { app } });
    return totals.transactional.queued + totals.bulk.queued;
  } catch {
    // It heals as well.
    return Number.NaN;
  }
}

/**
 * Notifications of one batch that go over one connection of the binary protocol go in the order given, replays included.
 * Batches that something may have left in doubt are not looked at: what is tried again comes later.
 */
function checkOrder(
  memory: ClientMemory,
  receipts: ReadonlyMap<string, readonly Receipt[]>,
  timeline: Timeline,
  broken: BrokenPromises,
): void {
  const last = new Map<string, { place: number; sequence: number }>();
  for (const { app, batchId, place, mark, token } of memory.notifications) {
    if (app === 'http2' || batchId === undefined || place === undefined) continue;
    for (const receipt of receipts.get(`${mark} ${token}`) ?? []) {
      if (timeline.explain(app, receipt.atMs) !== undefined) continue;
      const key = `${batchId} ${receipt.connection}`;
      const before = last.get(key);
      if (before !== undefined && receipt.sequence < before.sequence) {
        broken.add('out of order', `batch ${batchId}: place ${place} before ${before.place}`, receipt.atMs);
      }
      last.set(key, { place, sequence: receipt.sequence });
    }
  }
}

async function checkBroadcasts(
  api: PushfleetClient,
  { broadcasts }: ClientMemory,
  receipts: ReadonlyMap<string, readonly Receipt[]>,
  broken: BrokenPromises,
  checkDoubles: (app: ChaosApp, what: string, list: readonly Receipt[]) => void,
): Promise<void> {
  for (const { app, mark, tokens, id, mayBePartial } of broadcasts) {
    if (id === undefined) continue;
    const what = `broadcast ${id} of ${app}, mark ${mark}`;
    const state = await api.call('GET /v1/broadcasts/{id}', { path: { id } });
    const settled = state.accepted + state.rejected + state.expired + state.cancelled + state.dead;
    if (settled !== state.enqueued || state.queued !== 0)
      broken.add('a broadcast whose counts do not add up', what);
    if (state.enqueued > tokens.length) broken.add('a broadcast that enqueued devices twice', what);
    let taken = 0;
    for (const token of tokens) {
      const list = receipts.get(`${mark} ${token}`) ?? [];
      checkDoubles(app, `${what} to ${token}`, list);
      if (list.some(({ isTaken }) => isTaken)) taken += 1;
    }
    if (taken < state.accepted) broken.add('a broadcast that counts more than the gateway took', what);
    // Devices that a rejection has deactivated meanwhile are none of its audience.
    if (!mayBePartial && state.state !== 'finished')
      broken.add('a broadcast that has not finished', `${what}: ${state.state}`);
  }
}

/** The sums of an app: as the API has them from Redis, as Postgres has them, and as the sweepers export them. */
async function checkSums(api: PushfleetClient, fleet: ChaosFleet, broken: BrokenPromises): Promise<void> {
  const exported = await exportedSums(fleet);
  for (const app of chaosApps) {
    const { totals } = await api.call('GET /v1/apps/{app}', { path: { app } });
    const sum = (
      name: 'enqueued' | 'queued' | 'accepted' | 'rejected' | 'expired' | 'cancelled' | 'dead',
    ): number => totals.transactional[name] + totals.bulk[name];
    const settled = sum('accepted') + sum('rejected') + sum('expired') + sum('cancelled') + sum('dead');
    if (sum('enqueued') !== settled + sum('queued')) {
      broken.add(
        'the identity',
        `${app}: enqueued ${sum('enqueued')}, settled ${settled}, queued ${sum('queued')}`,
      );
    }
    const said = exported.get(app);
    if (said !== undefined && (said.enqueued !== sum('enqueued') || said.settled !== settled)) {
      broken.add(
        'metrics differ from the API',
        `${app}: ${JSON.stringify(said)} and ${sum('enqueued')}, ${settled}`,
      );
    }
  }
}

async function exportedSums({
  slots,
}: ChaosFleet): Promise<ReadonlyMap<string, { enqueued: number; settled: number }>> {
  const sums = new Map<string, { enqueued: number; settled: number }>();
  // Facts of the fleet are read every few seconds.
  await delay(6_000);
  for (const slot of slots.filter(({ kind }) => kind !== 'worker')) {
    const text = await slot.metrics();
    const found = new Map<string, { enqueued: number; settled: number }>();
    for (const [, name, app, value] of text.matchAll(
      /^pushfleet_fleet_(enqueued|settled)_notifications_total\{[^}]*app="([^"]+)"[^}]*\} (\d+)/gm,
    )) {
      const entry = found.get(app!) ?? { enqueued: 0, settled: 0 };
      entry[name as 'enqueued' | 'settled'] += Number(value);
      found.set(app!, entry);
    }
    for (const [app, entry] of found) sums.set(app, entry);
  }
  return sums;
}

/** Batches are closed, and whoever waits for their events has got them. */
async function checkBatches(
  api: PushfleetClient,
  memory: ClientMemory,
  broken: BrokenPromises,
): Promise<void> {
  const ids = [...new Set(memory.notifications.flatMap(({ batchId }) => batchId ?? []))];
  for (const id of ids) {
    const state = await api.batch(id);
    const settled = state.accepted + state.rejected + state.expired + state.cancelled + state.dead;
    if (state.state !== 'finished' || settled !== state.size) broken.add('a batch that is not closed', id);
  }
  const endMs = performance.now() + 60_000;
  const missing = (): string[] => ids.filter((id) => !memory.finishedBatches.has(id));
  while (missing().length > 0 && performance.now() < endMs) await delay(500);
  for (const id of missing()) broken.add('a finished batch whose webhook event never came', id);
}
