import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api';

// Between spans and `traceparent`, the form of W3C in which contexts travel through Redis and Postgres.

/** Undefined: it is not sampled, so that nobody would see what joins it. */
export function traceparentOf(span: Span | undefined): string | undefined {
  if (span === undefined) return undefined;
  const { traceId, spanId, traceFlags } = span.spanContext();
  return (traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : `00-${traceId}-${spanId}-01`;
}

/** A context whose spans are children of it. @param traceparent As `traceparentOf` writes it. */
export function contextOf(traceparent: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, spanContextOf(traceparent));
}

/** @param traceparent As `traceparentOf` writes it. */
export function linkTo(traceparent: string): Link {
  return { context: spanContextOf(traceparent) };
}

function spanContextOf(traceparent: string): SpanContext {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}
