import type { JobShare } from '../job-share.ts';
import { batchTimeMs } from '../notification-id.ts';
import type { OutcomeException, OutcomeReport } from '../push-job.ts';
import { parsePushJobId } from '../push-job-id.ts';
import type { ExpectedQueue } from './decode-push-job.ts';
import type { HeldJob } from './lane-queue.ts';

/**
 * What to say of a job that cannot be read: all its notifications are dead, so that the sums still add up. Undefined
 * where the job is none of ours.
 * @param share What it was counted as; nothing of its data is relied on.
 */
export function reportPoisoned(
  taken: HeldJob,
  share: JobShare,
  queue: ExpectedQueue,
  atMs: number,
): OutcomeReport | undefined {
  const parsed = parsePushJobId(taken.id);
  if (parsed === undefined) return undefined;
  const exceptions = Array.from({ length: share.count }, (_, at): OutcomeException => {
    const index = parsed.firstIndex + at;
    return { index, token: '', outcome: 'dead', reason: 'poisoned', atMs };
  });
  return {
    v: 1,
    job: taken.id,
    app: queue.app,
    lane: queue.lane,
    batch: parsed.batch,
    batchSize: share.batchSize,
    firstIndex: parsed.firstIndex,
    count: share.count,
    enqueuedAtMs: batchTimeMs(parsed.batch),
    settledAtMs: atMs,
    accepted: { proved: 0, presumed: 0 },
    exceptions,
    resentUncertain: 0,
  };
}
