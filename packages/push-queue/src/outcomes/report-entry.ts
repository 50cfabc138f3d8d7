import { type OutcomeReport, outcomeReportSchema } from '../push-job/report.ts';
import { isSampled } from '../traceparent.ts';

/** An outcome report, and where it lies until it is acknowledged. */
export interface ReportEntry {
  readonly app: string;
  /** Its id in the app's stream; begins with the epoch milliseconds at which it came there. */
  readonly entry: string;
  readonly report: OutcomeReport;
  /** Trace context of the span that it ended, where the worker kept one. */
  readonly traceparent?: string;
}

/** What lies in the stream and is no report; to be set aside and acknowledged, or it comes again for ever. */
export interface UnreadableEntry {
  readonly app: string;
  readonly entry: string;
  /** The data as they were found. */
  readonly raw: string;
  readonly error: string;
}

export interface ReadEntries {
  /** In the order of each app's stream. */
  readonly reports: readonly ReportEntry[];
  readonly unreadable: readonly UnreadableEntry[];
  /** Apps that could not be asked: in a cluster, those on a node that does not answer. */
  readonly failed: readonly FailedApp[];
  /** Apps of which there may be more to read now. */
  readonly more: readonly string[];
}

export interface FailedApp {
  readonly app: string;
  readonly error: Error;
}

/** A stream entry as Redis gives it: its id, and fields and values in turn; null for one that has been deleted. */
export type RawEntry = readonly [id: string, fields: readonly string[] | null];

/** Reads a report of an app. Throws what is wrong with it. */
export function parseReport(app: string, raw: string): OutcomeReport {
  const report = outcomeReportSchema.parse(parseJson(raw));
  if (report.app !== app) throw new Error(`names the app ${report.app}`);
  return report;
}

/** Not the parser's words: they quote the text. */
function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    throw new Error('is not JSON');
  }
}

export function parseEntries(
  app: string,
  entries: readonly RawEntry[],
): Omit<ReadEntries, 'failed' | 'more'> {
  const reports: ReportEntry[] = [];
  const unreadable: UnreadableEntry[] = [];
  for (const [entry, fields] of entries) {
    if (fields === null) continue;
    const raw = fieldOf(fields, 'report');
    const traceparent = fieldOf(fields, 'traceparent');
    if (raw === undefined) {
      unreadable.push({ app, entry, raw: JSON.stringify(fields), error: 'there is no field named report' });
      continue;
    }
    try {
      const report = parseReport(app, raw);
      const isFollowed = traceparent !== undefined && isSampled(traceparent);
      reports.push(isFollowed ? { app, entry, report, traceparent } : { app, entry, report });
    } catch (error) {
      unreadable.push({ app, entry, raw, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return { reports, unreadable };
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const place = fields.findIndex((field, index) => index % 2 === 0 && field === name);
  return place === -1 ? undefined : fields[place + 1];
}
