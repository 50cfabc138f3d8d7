import { maxJobNotifications, type OutcomeException, type OutcomeReport } from '../push-job.ts';
import { parsePushJobId } from '../push-job-id.ts';
import type { ExpectedQueue } from './decode-push-job.ts';
import type { TakenJob } from './lane-queue.ts';

/**
 * What to say of a job that cannot be read: all its notifications are dead, so that the sums still add up. Their number
 * is read as well as can be; undefined where even that is lost, or where the job is none of ours.
 */
export function reportPoisoned(
  taken: TakenJob,
  queue: ExpectedQueue,
  atMs: number,
): OutcomeReport | undefined {
  const parsed = parsePushJobId(taken.id);
  const count = numberIn(taken.data, 'count');
  if (parsed === undefined || count === undefined || count < 1 || count > maxJobNotifications)
    return undefined;
  const exceptions = Array.from({ length: count }, (_, at): OutcomeException => {
    const index = parsed.firstIndex + at;
    return { index, token: '', outcome: 'dead', reason: 'poisoned', atMs };
  });
  return {
    v: 1,
    job: taken.id,
    app: queue.app,
    lane: queue.lane,
    batch: parsed.batch,
    batchSize: Math.max(1, numberIn(taken.data, 'batchSize') ?? count),
    firstIndex: parsed.firstIndex,
    count,
    enqueuedAtMs: numberIn(taken.data, 'enqueuedAtMs') ?? atMs,
    settledAtMs: atMs,
    accepted: { proved: 0, presumed: 0 },
    exceptions,
    resentUncertain: 0,
  };
}

/** The value of a field in text that may be JSON cut short. */
function numberIn(text: string, field: string): number | undefined {
  const match = new RegExp(`"${field}"\\s*:\\s*(\\d{1,15})`).exec(text);
  return match === null ? undefined : Number(match[1]);
}
