import type { Redis } from 'ioredis';
import { createEpoch, type HeldCounts, queuedTerms } from '../held.ts';
import { lanes } from '../lane.ts';
import { heldKey, queueKeys, totalsKey } from '../redis/keys.ts';
import { runScript, type ScriptKeys } from '../redis/scripts.ts';

// Counts what lies in an app's queues anew: after an upgrade from a version that did not count, or when Redis has lost
// the counts. Sends and workers go on meanwhile.

/** Push jobs that one script looks at. */
const pageJobs = 200;
/** How long another waits for a recount that does not go on, milliseconds. */
const patienceMs = 10_000;
/** A job that moves from list to list while they are read may be missed; so many times they are read at most. */
const mostPasses = 3;

/** `done`; `busy`: another one runs, or has taken this one over. */
export type RecountResult = 'done' | 'busy';

/** Whether the counts are not what they should be, and a recount may help. */
export function needsRecount({ apart, wereApart, isNegative }: HeldCounts): boolean {
  return isNegative || apart !== wereApart;
}

/** Rejects with what the client throws. */
export async function recountApp(client: Redis, prefix: string, app: string): Promise<RecountResult> {
  const counts = heldKey(prefix, app);
  const epoch = createEpoch();
  if ((await runScript(client, 'begin-recount', { counts }, { epoch, patienceMs })) === 0) return 'busy';
  for (let pass = 1; ; pass++) {
    for (const lane of lanes) {
      const { base, delayed, wait, active } = queueKeys(prefix, app, lane);
      // In the order in which jobs go.
      for (const queued of [delayed, wait, active]) {
        const isSorted = queued === delayed;
        if (!(await markList(client, { counts, queued }, { base, epoch }, isSorted))) return 'busy';
      }
    }
    const isLast = pass === mostPasses ? 1 : 0;
    const keys = { counts, sums: totalsKey(prefix, app) };
    const ended = await runScript(client, 'end-recount', keys, { epoch, isLast, terms: queuedTerms });
    if (ended !== 'differs') return ended === 'done' ? 'done' : 'busy';
  }
}

/** False: the recount has been given up. */
async function markList(
  client: Redis,
  keys: ScriptKeys<'recount-page'>,
  recount: { readonly base: string; readonly epoch: string },
  isSorted: boolean,
): Promise<boolean> {
  let from = 0;
  let score = isSorted ? ['-inf'] : [];
  for (;;) {
    const args = { ...recount, patienceMs, from, limit: pageJobs, score };
    const answer = await runScript(client, 'recount-page', keys, args);
    if (answer === null) return false;
    const [jobs, following, next] = answer as [number, number, string];
    if (jobs < pageJobs) return true;
    from = following;
    if (isSorted) score = [next];
  }
}
