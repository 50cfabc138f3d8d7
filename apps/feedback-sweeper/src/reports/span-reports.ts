import { SpanKind, type Tracer } from '@opentelemetry/api';
import type { ReportEntry } from '@pushfleet/push-queue/outcomes';
import { contextOf } from '@pushfleet/service-kit';

/**
 * The last spans of their traces: that Postgres has the outcomes. One for each report that somebody follows, though they
 * share a transaction.
 * @param startMs When the transaction began, epoch milliseconds.
 */
export function spanReports(tracer: Tracer, reports: readonly ReportEntry[], startMs: number): void {
  for (const { app, report, traceparent } of reports) {
    if (traceparent === undefined) continue;
    const attributes = {
      'pushfleet.app': app,
      'pushfleet.lane': report.lane,
      'pushfleet.batch': report.batch,
      'pushfleet.job': report.job,
      'pushfleet.settled': report.count,
      'pushfleet.reports': reports.length,
    };
    const options = { kind: SpanKind.CONSUMER, attributes, startTime: startMs };
    tracer.startSpan('apply outcome report', options, contextOf(traceparent)).end();
  }
}
