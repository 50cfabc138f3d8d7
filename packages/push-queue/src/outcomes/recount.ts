import type { Redis } from 'ioredis';
import type { HeldCounts } from '../held.ts';
import { queuedTerms } from '../held.ts';
import { beginRecountScript, createEpoch, endRecountScript, recountPageScript } from '../held-scripts.ts';
import { lanes } from '../lane.ts';
import { appPrefix, heldKey, totalsKey } from '../redis/keys.ts';

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
  const held = heldKey(prefix, app);
  const epoch = createEpoch();
  if ((await client.eval(beginRecountScript, 1, held, epoch, patienceMs)) === 0) return 'busy';
  for (let pass = 1; ; pass++) {
    for (const lane of lanes) {
      const queue = `${appPrefix(prefix, app)}:${lane}:`;
      // In the order in which jobs go.
      for (const list of ['delayed', 'wait', 'active'] as const) {
        if (!(await markList(client, held, epoch, queue, list))) return 'busy';
      }
    }
    const isLast = pass === mostPasses ? 1 : 0;
    const sums = totalsKey(prefix, app);
    const ended = await client.eval(endRecountScript, 2, held, sums, epoch, isLast, ...queuedTerms);
    if (ended !== 'differs') return ended === 'done' ? 'done' : 'busy';
  }
}

/** False: the recount has been given up. */
async function markList(
  client: Redis,
  held: string,
  epoch: string,
  queue: string,
  list: 'delayed' | 'wait' | 'active',
): Promise<boolean> {
  let from = 0;
  let score = list === 'delayed' ? '-inf' : '';
  for (;;) {
    const position = score === '' ? [from, pageJobs] : [from, pageJobs, score];
    const args = [queue, epoch, patienceMs, ...position];
    const answer = await client.eval(recountPageScript, 2, held, queue + list, ...args);
    if (answer === null) return false;
    const [jobs, following, next] = answer as [number, number, string];
    if (jobs < pageJobs) return true;
    from = following;
    score = next;
  }
}
