import type { OutcomeReport, PushJobProgress } from '../push-job.ts';
import type { SettledOutcome } from '../settled-outcome.ts';

// What a report changes in Redis, beside being there.

/** The progress of a job that has been reported: nothing remains. */
export function endedProgress({ accepted, exceptions, resentUncertain }: OutcomeReport): PushJobProgress {
  return { v: 1, attempt: 0, remaining: [], accepted, exceptions, resentUncertain };
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
