import { z } from 'zod';
import { type Lane, lanes } from '../lane.ts';
import { type BatchId, batchTimeMs } from '../notification-id.ts';
import type { SettledOutcome } from '../settled-outcome.ts';
import { indexSchema } from './format.ts';
import { batchIdSchema, parsePushJobId } from './id.ts';
import type { JobShare } from './share.ts';

/** One notification that was not simply accepted. */
export const outcomeExceptionSchema = z.strictObject({
  index: indexSchema,
  /** Device token, hex. */
  token: z.string(),
  outcome: z.enum(['rejected', 'expired', 'cancelled', 'dead']),
  reason: z.string(),
  /** Binary status byte or HTTP status, when the gateway gave one. */
  status: z.int().optional(),
  /** The gateway's word is evidence against the device. */
  tokenInvalid: z.boolean().optional(),
  /** When APNs found the token gone, epoch milliseconds (410 only). */
  unregisteredAtMs: z.int().optional(),
  atMs: z.int(),
});
export type OutcomeException = z.infer<typeof outcomeExceptionSchema>;

export const acceptedCountsSchema = z.strictObject({ proved: z.int().min(0), presumed: z.int().min(0) });

/** What a worker says of one finished push job. The identity holds: count = accepted + exceptions. */
export const outcomeReportSchema = z.strictObject({
  v: z.literal(1),
  /** Id of the push job; a report delivered twice carries the same. */
  job: z.string(),
  app: z.string(),
  lane: z.enum(lanes),
  batch: batchIdSchema,
  batchSize: z.int().min(1),
  /** Index of the job's first notification as it was enqueued, and how many it had. */
  firstIndex: indexSchema,
  count: z.int().min(1),
  enqueuedAtMs: z.int(),
  settledAtMs: z.int(),
  accepted: acceptedCountsSchema,
  exceptions: z.array(outcomeExceptionSchema),
  resentUncertain: z.int().min(0),
});
export type OutcomeReport = z.infer<typeof outcomeReportSchema>;

/** A push job as its report names it. */
export interface ReportedJob {
  readonly id: string;
  readonly app: string;
  readonly lane: Lane;
  readonly batch: BatchId;
  readonly batchSize: number;
  readonly firstIndex: number;
  readonly count: number;
  readonly enqueuedAtMs: number;
}

/** What became of its notifications, all of them. */
export type JobOutcome = Pick<OutcomeReport, 'accepted' | 'exceptions' | 'resentUncertain'>;

export function createReport(job: ReportedJob, outcome: JobOutcome, atMs: number): OutcomeReport {
  return {
    v: 1,
    job: job.id,
    app: job.app,
    lane: job.lane,
    batch: job.batch,
    batchSize: job.batchSize,
    firstIndex: job.firstIndex,
    count: job.count,
    enqueuedAtMs: job.enqueuedAtMs,
    settledAtMs: atMs,
    accepted: outcome.accepted,
    exceptions: outcome.exceptions,
    resentUncertain: outcome.resentUncertain,
  };
}

/**
 * The report of a job that cannot be read: all its notifications are dead, so that the sums still add up. Undefined
 * where the job is none of ours.
 * @param share What it was counted as; nothing of its data is relied on.
 */
export function reportPoisoned(
  { id }: { readonly id: string },
  share: JobShare,
  { app, lane }: { readonly app: string; readonly lane: Lane },
  atMs: number,
): OutcomeReport | undefined {
  const parsed = parsePushJobId(id);
  if (parsed === undefined) return undefined;
  const exceptions = Array.from({ length: share.count }, (_, at): OutcomeException => {
    const index = parsed.firstIndex + at;
    return { index, token: '', outcome: 'dead', reason: 'poisoned', atMs };
  });
  const job = { id, app, lane, ...parsed, ...share, enqueuedAtMs: batchTimeMs(parsed.batch) };
  return createReport(job, { accepted: { proved: 0, presumed: 0 }, exceptions, resentUncertain: 0 }, atMs);
}

/** What the totals of an app rise by. First, unless that was done when it was enqueued, by how many there were. */
export function totalsOf(report: OutcomeReport): [string, number][] {
  const counts = new Map<'enqueued' | SettledOutcome, number>([
    ['enqueued', report.count],
    ['accepted-proved', report.accepted.proved],
    ['accepted-presumed', report.accepted.presumed],
  ]);
  for (const { outcome } of report.exceptions) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 0);
}
